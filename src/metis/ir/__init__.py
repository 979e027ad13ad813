"""What is meant, in no provider's words: content, request, response, stream. No API's JSON keys."""
