//! Bytes by digest on disk: resumable uploads, durability, the disk seam.
