-- Runs once, when the database is made. Prefect's migrations need pg_trgm, which only a superuser may add.
CREATE DATABASE prefect;
CREATE DATABASE gda;
\connect prefect
CREATE EXTENSION IF NOT EXISTS pg_trgm;
