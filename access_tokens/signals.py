"""The signals. Their sender is ``Token``; none carries a secret."""

from django.dispatch import Signal

# A token was created: ``token``. Like ``post_save``, this does not wait for a commit.
token_created = Signal()

# A token got a new secret: ``token``. This does not wait for a commit either.
token_rotated = Signal()

# A token was deleted, by whatever means: ``token``. Like ``post_delete``, this does not wait for a
# commit either. If several deletions of one row run in parallel, each one sends it.
token_deleted = Signal()

# A secret leaked, and was revoked by ``revoke_leaked()``: ``token``. It is deleted, unless its
# ``by_previous_secret`` says that only its secret from before the last rotation leaked.
token_leaked = Signal()

# A secret was refused: ``reason`` (a ``Reason``), ``token`` (None unless the secret is known) and
# ``request`` (None if the caller of ``verify()`` gave none). A receiver may raise, for example
# ``PermissionDenied``.
token_rejected = Signal()

# A use could not be recorded: ``token`` and ``error`` (a ``django.db.Error``).
last_used_failed = Signal()
