// Create, use, rotate and delete a token. The types are generated from the OpenAPI document.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { env: Record<string, string> };
const { BASE_URL: baseUrl, COOKIE, CSRF_TOKEN } = process.env;

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

// In a browser, the cookies are sent without a word.
const session = createClient<paths>({
  baseUrl,
  headers: { Cookie: COOKIE, "X-CSRFToken": CSRF_TOKEN },
});
const withToken = (secret: string) =>
  createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${secret}` } });

const created = await session.POST("/api/tokens/", { body: { name: "laptop", expires_in_days: 7 } });
check(created.data !== undefined, "create");
const { id, secret } = created.data;

const listed = await session.GET("/api/tokens/", { params: { query: { state: ["active"] } } });
check(listed.data?.results[0]?.id === id, "list");
// @ts-expect-error: only the answers to create and rotate have the secret
check(listed.data.results[0].secret === undefined, "no secret");

const me = await withToken(secret).GET("/api/me/");
check(me.data?.token === "laptop", "use");
const refused = await withToken(secret).GET("/api/tokens/");
check(refused.response.status === 403 && refused.error !== undefined, "a token manages no tokens");

const params = { path: { id } };
const rotated = await session.POST("/api/tokens/{id}/rotate/", { params, body: { end_previous_now: true } });
check(rotated.data !== undefined && rotated.data.secret !== secret, "rotate");
const old = await withToken(secret).GET("/api/tokens/self/");
check(old.response.status === 401, "the old secret is refused");
const self = await withToken(rotated.data.secret).GET("/api/tokens/self/");
check(self.data?.id === id, "the new secret is accepted");

const deleted = await session.DELETE("/api/tokens/{id}/", { params });
check(deleted.response.status === 204, "delete");
const gone = await withToken(rotated.data.secret).GET("/api/me/");
check(gone.response.status === 401, "the deleted token is refused");
console.log("created, used, rotated and deleted");
