//! What the faces share: errors to HTTP, authentication of a request, paging, listeners.
