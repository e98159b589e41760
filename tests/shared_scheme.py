"""Check that tokens share ``Bearer`` with those of other packages, installed as a site has them.

``test_authentication.py`` runs this, since the apps of the tests have neither package.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x" * 32,
    ALLOWED_HOSTS=["testserver"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "oauth2_provider",
        "rest_framework",
        "access_tokens",
    ],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.contrib.rest_framework import OAuth2Authentication  # noqa: E402
from oauth2_provider.models import AccessToken as OAuthToken  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.test import APIRequestFactory  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.authentication import JWTAuthentication  # noqa: E402
from rest_framework_simplejwt.tokens import AccessToken as JsonWebToken  # noqa: E402

from access_tokens.authentication import AccessTokenAuthentication as OurAuthentication  # noqa: E402
from access_tokens.models import Token  # noqa: E402

call_command("migrate", verbosity=0)
user = User.objects.create(username="ada")
_token, secret = Token.objects.create_token(user=user, name="laptop")
tomorrow = timezone.now() + timedelta(days=1)
OAuthToken.objects.create(user=user, token="of-oauth", expires=tomorrow, scope="")
CREDENTIALS = {
    "ours": str(secret),
    "ours, mistyped": f"{secret[:-1]}{'b' if secret[-1] == 'a' else 'a'}",
    "JWT": str(JsonWebToken.for_user(user)),
    "OAuth": "of-oauth",
    "garbage": "garbage",
}


def ask(*classes: type[BaseAuthentication]) -> dict[str, Any]:
    """Return, for each credential, what accepts it on a view that lets anybody in, or the status."""

    class View(APIView):
        authentication_classes = classes
        permission_classes = ()

        def get(self, request: Any) -> Response:
            return Response({"by": type(request.successful_authenticator)})

    answers = {}
    for name, credential in CREDENTIALS.items():
        request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {credential}")
        response = View.as_view()(request)
        answers[name] = response.data["by"] if response.status_code == 200 else response.status_code
    return answers


ANONYMOUS = type(None)
alone = ask(OurAuthentication)
assert alone == {
    "ours": OurAuthentication,
    "ours, mistyped": 401,
    "JWT": 401,
    "OAuth": 401,
    "garbage": 401,
}, alone
# The others answer as they do without us.
assert ask(OurAuthentication, JWTAuthentication) == alone | {"JWT": JWTAuthentication}
assert ask(OurAuthentication, OAuth2Authentication) == alone | {
    "JWT": ANONYMOUS,
    "OAuth": OAuth2Authentication,
    "garbage": ANONYMOUS,
}
assert ask(OurAuthentication, OAuth2Authentication, JWTAuthentication) == alone | {
    "JWT": JWTAuthentication,
    "OAuth": OAuth2Authentication,
}
# Behind a class that refuses what it doesn't know, ours isn't asked.
assert ask(JWTAuthentication, OurAuthentication) == alone | {"ours": 401, "JWT": JWTAuthentication}
assert ask(OAuth2Authentication, OurAuthentication) == {
    **alone,
    "JWT": ANONYMOUS,
    "OAuth": OAuth2Authentication,
    "garbage": ANONYMOUS,
}
