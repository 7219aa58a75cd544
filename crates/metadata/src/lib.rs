//! The database, SQLite or PostgreSQL: migrations, one file per entity, transactions, outbox, the clock seam.
