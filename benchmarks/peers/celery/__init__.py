"""The programs of celery."""
