from rest_framework import serializers

from example_project.models import Note


class IndexSerializer(serializers.Serializer[dict[str, str]]):
    me = serializers.URLField()
    notes = serializers.URLField()
    reports = serializers.URLField()
    error = serializers.URLField()


class MeSerializer(serializers.Serializer[dict[str, str | None]]):
    username = serializers.CharField()
    token = serializers.CharField(allow_null=True)


class NoteSerializer(serializers.ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ["id", "text", "created_at"]


class ReportSerializer(serializers.Serializer[dict[str, int]]):
    notes = serializers.IntegerField()
