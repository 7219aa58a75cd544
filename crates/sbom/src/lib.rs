//! Bytes of a layer to components; components to CycloneDX documents.
