//! What the product does with an artifact: push, pull, tag, delete, promote, attest.
