//! A disk that records, fails and loses power on demand.
