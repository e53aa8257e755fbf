"""Why one ad won one request."""
