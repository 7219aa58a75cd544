//! Vulnerability feeds to an index; components and index to findings.
