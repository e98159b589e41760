// The session and the CSRF token are in cookies. A secret is in the page while it's shown, and nowhere else.
const API = "/api/tokens/";
const find = (id) => document.getElementById(id);
const day = (date) => (date ? new Date(date).toLocaleDateString([], { dateStyle: "medium" }) : "Never");

async function call(method, url = API, data = undefined) {
  const csrf = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrf };
  const response = await fetch(url, { method, headers, body: JSON.stringify(data) });
  if (response.status === 401) location.assign(`/account/login/?next=${location.pathname}`);
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({ detail: "The server doesn’t answer as expected." }));
  if (!response.ok) throw new Error(Object.values(answer).flat().join(" "));
  return answer;
}

// Errors of the API are texts for people.
async function attempt(task) {
  find("problem").textContent = find("status").textContent = "";
  try {
    await task();
  } catch (error) {
    find("problem").textContent = error.message;
  }
}

function element(tag, text = "", properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, properties);
}

function row(token) {
  const line = element("tr");
  const partial = element("td");
  partial.append(element("code", token.partial));
  const buttons = element("td");
  for (const [label, action] of [["Rotate", rotate], ["Delete", remove]]) {
    const button = element("button", label, { ariaLabel: `${label} ${token.name}`, hidden: action === rotate && token.state === "expired" });
    button.onclick = () => attempt(() => action(token, line));
    buttons.append(button, " ");
  }
  const dates = [token.created_at, token.last_used_at, token.expires_at].map((date) => element("td", day(date)));
  line.append(element("th", token.name, { scope: "row" }), partial, ...dates, buttons);
  return line;
}

async function list(url = API) {
  const page = await call("GET", url);
  find("tokens").append(...page.results.map(row));
  if (page.next) await list(page.next);
}

async function describeForm() {
  const fields = (await call("OPTIONS")).actions?.POST;
  find("new").hidden = !fields; // The site may not let everybody create tokens.
  for (const { value, display_name } of fields?.scopes?.choices ?? []) {
    const box = element("input", "", { type: "checkbox", name: "scopes", value, defaultChecked: value === "read" });
    find("scopes").append(element("label", ` ${display_name}`));
    find("scopes").lastChild.prepend(box);
    find("scopes").hidden = false;
  }
}

async function create() {
  const form = new FormData(find("new"));
  const days = form.get("expires_in_days");
  const data = { name: form.get("name"), expires_in_days: days ? Number(days) : null };
  if (!find("scopes").hidden) data.scopes = form.getAll("scopes");
  const { secret, ...token } = await call("POST", API, data);
  find("tokens").prepend(row(token));
  find("new").reset();
  reveal(secret);
}

async function rotate(token, line) {
  if (!await confirm(`Rotate “${token.name}”? The old token works for a while after you use the new one.`, "Rotate")) return;
  const { secret, ...rotated } = await call("POST", `${API}${token.id}/rotate/`, {});
  line.replaceWith(row(rotated));
  reveal(secret);
}

async function remove(token, line) {
  if (!await confirm(`Delete “${token.name}”? Whatever uses it stops working.`, "Delete")) return;
  await call("DELETE", `${API}${token.id}/`);
  line.remove();
  find("status").textContent = `“${token.name}” was deleted.`;
  find("status").focus(); // The button that had the focus is gone.
}

function confirm(question, answer) {
  const dialog = find("confirm");
  dialog.returnValue = "";
  [find("question").textContent, find("yes").textContent] = [question, answer];
  dialog.showModal();
  return new Promise((resolve) => (dialog.onclose = () => resolve(dialog.returnValue === "yes")));
}

function reveal(secret) {
  find("secret").textContent = secret;
  find("reveal").hidden = false;
  find("reveal").focus();
}

function hide() {
  find("secret").textContent = "";
  find("reveal").hidden = true;
}

find("new").onsubmit = (event) => {
  event.preventDefault();
  hide();
  attempt(create);
};
find("copy").onclick = () => attempt(async () => {
  await navigator.clipboard.writeText(find("secret").textContent);
  find("status").textContent = "Copied.";
});
find("done").onclick = () => {
  hide();
  find("new").elements.name.focus();
};
onpagehide = hide; // The browser may keep the page to go back to it.

attempt(async () => {
  await list();
  await describeForm();
});
