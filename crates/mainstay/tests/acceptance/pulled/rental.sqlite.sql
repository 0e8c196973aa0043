-- The same rental in SQLite, with its loose types.
CREATE TABLE language (
  language_id INTEGER PRIMARY KEY,
  name VARCHAR(20) NOT NULL COLLATE NOCASE,
  last_update DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE film (
  film_id INTEGER PRIMARY KEY AUTOINCREMENT,
  title VARCHAR(255) NOT NULL,
  description TEXT,
  release_year YEAR,
  language_id SMALLINT NOT NULL REFERENCES language (language_id) ON UPDATE CASCADE ON DELETE RESTRICT,
  original_language_id SMALLINT REFERENCES language (language_id) ON DELETE SET NULL,
  rental_duration SMALLINT NOT NULL DEFAULT 3,
  rental_rate DECIMAL(4,2) NOT NULL DEFAULT 4.99,
  length SMALLINT CHECK (length > 0),
  replacement_cost NUMERIC NOT NULL DEFAULT 19.99,
  rating VARCHAR(10) DEFAULT 'G' CHECK (rating IN ('G', 'PG', 'PG-13', 'R', 'NC-17')),
  is_new BOOLEAN NOT NULL DEFAULT 0,
  details JSON,
  cover BLOB,
  shown_at TIMESTAMP,
  odd INTEGER,
  last_update DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  title_length INTEGER GENERATED ALWAYS AS (length(title)) VIRTUAL
);
CREATE TRIGGER last_updated AFTER UPDATE OF title ON film BEGIN
  UPDATE film SET last_update = CURRENT_TIMESTAMP WHERE film_id = NEW.film_id;
END;
CREATE INDEX idx_title ON film (title);
CREATE INDEX film_lower ON film (lower(title));
CREATE UNIQUE INDEX film_partial ON film (title) WHERE rating = 'G';
CREATE TABLE actor (
  actor_id INTEGER PRIMARY KEY,
  first_name VARCHAR(45) NOT NULL,
  last_name VARCHAR(45) NOT NULL,
  UNIQUE (first_name, last_name)
);
CREATE TABLE film_actor (
  actor_id INT NOT NULL REFERENCES actor ON DELETE CASCADE,
  film_id INT NOT NULL REFERENCES film ON DELETE CASCADE,
  last_update DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (actor_id, film_id)
);
CREATE TABLE customers (
  customer_id CHAR(5) PRIMARY KEY NOT NULL,
  "Company Name" TEXT NOT NULL,
  password_hash TEXT,
  since DATE NOT NULL DEFAULT CURRENT_DATE
);
CREATE TABLE "order" (
  id CHAR(36) PRIMARY KEY NOT NULL,
  customer_id CHAR(5) NOT NULL REFERENCES customers,
  "limit" INTEGER,
  "select" TEXT,
  "2nd note" TEXT,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE "Order Details" (
  order_id CHAR(36) NOT NULL REFERENCES "order" ON DELETE CASCADE,
  film_id INTEGER NOT NULL REFERENCES film,
  quantity SMALLINT NOT NULL DEFAULT 1,
  "unitPrice" DECIMAL(10,2) NOT NULL,
  discount REAL NOT NULL DEFAULT 0,
  PRIMARY KEY (order_id, film_id)
);
CREATE TABLE employees (
  employee_id INTEGER PRIMARY KEY,
  last_name VARCHAR(20) NOT NULL,
  reports_to INTEGER REFERENCES employees
);
CREATE TABLE audit_trail (what TEXT, at DATETIME);
CREATE VIEW film_list AS SELECT title, rating FROM film;

INSERT INTO language (name) VALUES ('English'), ('German'), ('french');
INSERT INTO film (title, language_id, original_language_id, length, rating, is_new, details, shown_at, odd, last_update)
  VALUES ('ACADEMY dinosaur', 1, 2, 86, 'PG-13', 1, '{"b": 1, "a": [true]}', '2026-01-31 10:00:00', 1, '2006-02-15 04:34:33.25'),
    ('Zebra', 1, NULL, 90, 'G', 0, NULL, NULL, 2, '2006-02-15 04:34:33'),
    ('apple', 2, NULL, NULL, 'R', 't', NULL, NULL, 'three', '2006-02-15 04:34:33');
INSERT INTO actor (first_name, last_name) VALUES ('Penelope', 'Guiness'), ('Nick', 'Wahlberg');
INSERT INTO film_actor (actor_id, film_id) VALUES (1, 1), (2, 1), (2, 3);
INSERT INTO customers VALUES ('ALFKI', 'Alfreds', 'x', '2020-01-01'), ('BO', 'Bon', NULL, '2020-01-02');
INSERT INTO "order" (id, customer_id) VALUES ('019b0000-0000-7000-8000-000000000001', 'ALFKI');
INSERT INTO "Order Details" (order_id, film_id, quantity, "unitPrice") VALUES ('019b0000-0000-7000-8000-000000000001', 1, 2, 4.99);
INSERT INTO employees VALUES (1, 'Fuller', NULL), (2, 'Davolio', 1);
