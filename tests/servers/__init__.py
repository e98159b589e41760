"""Tests on several servers of one database, which .ci/run starts."""
