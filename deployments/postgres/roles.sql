-- Two roles in place of a superuser, for psql in a new and empty database:
-- one owns the schema and migrates it, the other reads and writes rows.
-- Their passwords come from the environment.

\set ON_ERROR_STOP on
\getenv owner_password POSTGRES_OWNER_PASSWORD
\getenv api_password POSTGRES_API_PASSWORD

CREATE ROLE countersign_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE countersign_api LOGIN PASSWORD :'api_password';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO countersign_owner, countersign_api;

ALTER SCHEMA public OWNER TO countersign_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO countersign_api;

ALTER DEFAULT PRIVILEGES FOR ROLE countersign_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO countersign_api;
ALTER DEFAULT PRIVILEGES FOR ROLE countersign_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO countersign_api;
