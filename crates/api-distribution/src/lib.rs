//! The OCI distribution face and Docker's token service.
