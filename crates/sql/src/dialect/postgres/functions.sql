-- What PostgreSQL's own operators compute otherwise than the language: the counterpart of `ms_…` in SQLite.
--
-- In a schema whose name ends with a version, so that nodes of two releases work on one database while one replaces the
-- other. A changed function is a new version; a test holds the text to it. None needs a right beyond making a schema, none
-- depends on a setting of the session but `extra_float_digits` (1 by default), and none reads a table. Simple ones are plain SQL that the
-- planner puts in place of the call. An error of the class 22003 or 22008 is an arithmetic overflow.

CREATE SCHEMA IF NOT EXISTS mainstay_1;

-- Whoever may read the tables may compute with what is in them.
GRANT USAGE ON SCHEMA mainstay_1 TO PUBLIC;

DO $$ BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE 'the database must be encoded in UTF8, not %', current_setting('server_encoding');
    END IF;
END $$;

-- In place of a value outside its range. It takes the value so that the planner cannot compute it before there is one.
CREATE OR REPLACE FUNCTION mainstay_1.overflow(value anyelement, operation text) RETURNS anyelement
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ BEGIN
    RAISE numeric_value_out_of_range USING MESSAGE = 'arithmetic overflow in ' || operation;
END $$;

-- The cap on nested rows, counted down in the transaction's own setting, has been passed.
CREATE OR REPLACE FUNCTION mainstay_1.too_many_rows() RETURNS text
LANGUAGE plpgsql VOLATILE AS $$ BEGIN
    RAISE 'the answer has more rows than the request may have' USING ERRCODE = 'MSROW';
END $$;

-- Floats -------------------------------------------------------------------------------------------------------------

-- PostgreSQL refuses a product or quotient of nothing but zeros where IEEE 754 rounds to zero. Adding zero makes the
-- negative zero positive.

-- Whether a * b, of which one is below 2^-500, rounds to zero: whether |a * b| <= 2^-1075. Both are scaled so that
-- the bound is 1, exactly. Where the rounded product is 1 the sign of its error decides, got from halves of 26 bits (Dekker).
CREATE OR REPLACE FUNCTION mainstay_1.vanishes(a float8, b float8) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$ DECLARE
    x float8 := least(abs(a), abs(b)) * 2::float8 ^ 538;
    y float8 := least(greatest(abs(a), abs(b)), 2::float8 ^ 200) * 2::float8 ^ 537;
    p float8 := x * y;
    xh float8; yh float8; xl float8; yl float8;
BEGIN
    IF p <> 1 THEN RETURN p < 1; END IF;
    xh := 134217729 * x - (134217729 * x - x); xl := x - xh;
    yh := 134217729 * y - (134217729 * y - y); yl := y - yh;
    RETURN ((xh * yh - p) + xh * yl + xl * yh) + xl * yl <= 0;
END $$;

CREATE OR REPLACE FUNCTION mainstay_1.mul(a float8, b float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE
    WHEN (abs(a) < 1e-151 OR abs(b) < 1e-151) AND a <> 0 AND b <> 0 AND mainstay_1.vanishes(a, b) THEN 0
    ELSE a * b + 0 END $$;

-- |a / b| <= 2^-1075 needs |b| >= 2 and |a| < 2^-50; then both scalings are exact.
CREATE OR REPLACE FUNCTION mainstay_1.div(a float8, b float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE
    WHEN abs(a) < 1e-16 AND abs(b) >= 2 AND abs(a) * 2::float8 ^ 600 <= abs(b) * 2::float8 ^ -475 THEN 0
    ELSE a / nullif(b, 0) + 0 END $$;

-- What is left of |a| after taking away |b| times a power of two, ever smaller: each difference is exact.
CREATE OR REPLACE FUNCTION mainstay_1.rem(a float8, b float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$ DECLARE
    rest float8 := abs(a); unit float8 := abs(b); step float8 := abs(b);
BEGIN
    IF unit = 0 THEN RETURN NULL; END IF;
    WHILE step <= rest - step LOOP step := step * 2; END LOOP;
    LOOP
        IF rest >= step THEN rest := rest - step; END IF;
        EXIT WHEN step = unit;
        step := step / 2;
    END LOOP;
    RETURN CASE WHEN a < 0 THEN 0 - rest ELSE rest END;
END $$;

-- Half away from zero; the database's own rounds half to even.
CREATE OR REPLACE FUNCTION mainstay_1.whole(x float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT trunc(x) + CASE WHEN abs(x - trunc(x)) >= 0.5 THEN sign(x) ELSE 0 END $$;

CREATE OR REPLACE FUNCTION mainstay_1.round(x float8, digits bigint) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$ DECLARE
    n int := least(abs(digits), 400);
    power float8 := 1; square float8 := 10;
BEGIN
    -- A power beyond the range of floats leaves a number as it is, or nothing of it.
    IF n > 308 THEN RETURN CASE WHEN digits > 0 THEN x ELSE 0 END; END IF;
    WHILE n > 0 LOOP
        IF n % 2 = 1 THEN power := power * square; END IF;
        n := n / 2;
        IF n > 0 THEN square := square * square; END IF;
    END LOOP;
    IF digits >= 0 THEN
        -- Where the product would overflow, which both factors scaled down do not.
        IF abs(x) > 1 AND abs(x) * 2::float8 ^ -512 * (power * 2::float8 ^ -512) >= 1 THEN RETURN x; END IF;
        RETURN mainstay_1.whole(x * power) / power + 0;
    END IF;
    IF abs(x) < power / 4 THEN RETURN 0; END IF;
    RETURN mainstay_1.whole(x / power) * power + 0;
END $$;

-- A float's text that has an exponent here or there.
CREATE OR REPLACE FUNCTION mainstay_1.float_text_far(x float8) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$ DECLARE
    sign text := CASE WHEN x < 0 THEN '-' ELSE '' END;
    shown text := abs(x)::text;
    digits text := replace(split_part(shown, 'e', 1), '.', '');
    -- Places before the point.
    point int := strpos(split_part(shown, 'e', 1) || '.', '.') - 1 + coalesce(nullif(split_part(shown, 'e', 2), '')::int, 0);
    shorter numeric;
BEGIN
    point := point - (length(digits) - length(ltrim(digits, '0')));
    digits := ltrim(digits, '0');
    -- A text halfway between two floats is read as the even one, but the database writes none such. So short is one only
    -- where it has no digits behind the point and is a small number times powers of two and five: between 2^53 and 10^42.
    WHILE abs(x) BETWEEN 9007199254740992 AND 1e42 AND length(digits) > 1 LOOP
        shorter := div(round(digits::numeric, -1), 10);
        EXIT WHEN (shorter || 'e' || point - length(digits) + 1)::float8 <> abs(x);
        point := point + length(shorter::text) - length(digits) + 1;
        digits := shorter;
    END LOOP;
    digits := rtrim(digits, '0');
    RETURN sign || CASE
        WHEN point BETWEEN length(digits) AND 16 THEN rpad(digits, point, '0') || '.0'
        WHEN point BETWEEN 1 AND 16 THEN left(digits, point) || '.' || substr(digits, point + 1)
        WHEN point BETWEEN -4 AND 0 THEN '0.' || repeat('0', -point) || digits
        ELSE left(digits, 1) || CASE WHEN length(digits) > 1 THEN '.' || substr(digits, 2) ELSE '' END
            || CASE WHEN point > 0 THEN 'e+' ELSE 'e' END || point - 1 END;
END $$;

-- The shortest JSON number that reads back the same, spelled as everywhere: `1.0`, `0.00001`, `1e+16`, `1.5e-7`.
CREATE OR REPLACE FUNCTION mainstay_1.float_text(x float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE
    WHEN x = 0 OR abs(x) BETWEEN 1e-4 AND 99999999999999 THEN
        CASE WHEN x = trunc(x) THEN x::text || '.0' ELSE x::text END
    ELSE mainstay_1.float_text_far(x) END $$;

-- A sum with what was lost of it kept beside (Neumaier), as SQLite adds floats.
CREATE OR REPLACE FUNCTION mainstay_1.sum_step(state float8[], x float8) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$ DECLARE
    s float8 := state[1]; t float8 := s + x;
BEGIN
    IF abs(s) > abs(x) THEN RETURN ARRAY[t, state[2] + ((s - t) + x)]; END IF;
    RETURN ARRAY[t, state[2] + ((x - t) + s)];
END $$;

CREATE OR REPLACE FUNCTION mainstay_1.sum_end(state float8[]) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT state[1] + state[2] $$;

CREATE OR REPLACE AGGREGATE mainstay_1.sum(float8)
    (SFUNC = mainstay_1.sum_step, STYPE = float8[], INITCOND = '{0,0}', FINALFUNC = mainstay_1.sum_end, PARALLEL = SAFE);

-- Whole numbers and decimals -----------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION mainstay_1.round(x numeric, digits bigint) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT round(x, CASE WHEN digits > 40 THEN 40 WHEN digits < -40 THEN -40 ELSE digits::int END) $$;

CREATE OR REPLACE FUNCTION mainstay_1.round(x bigint, digits bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN digits >= 0 THEN x ELSE mainstay_1.round(x::numeric, digits)::bigint END $$;

-- UUIDs have no least and greatest of their own before PostgreSQL 18.
CREATE OR REPLACE FUNCTION mainstay_1.lesser(a uuid, b uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT CASE WHEN b < a THEN b ELSE a END $$;

CREATE OR REPLACE FUNCTION mainstay_1.greater(a uuid, b uuid) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT CASE WHEN b > a THEN b ELSE a END $$;

CREATE OR REPLACE AGGREGATE mainstay_1.min(uuid)
    (SFUNC = mainstay_1.lesser, STYPE = uuid, COMBINEFUNC = mainstay_1.lesser, SORTOP = <, PARALLEL = SAFE);

CREATE OR REPLACE AGGREGATE mainstay_1.max(uuid)
    (SFUNC = mainstay_1.greater, STYPE = uuid, COMBINEFUNC = mainstay_1.greater, SORTOP = >, PARALLEL = SAFE);

-- Times --------------------------------------------------------------------------------------------------------------

-- Instants are moved as UTC, so that no time zone's days of 23 hours matter, and by days and a rest, because an interval
-- times a float is exact only below 2^53. The years are 0001 to 9999.

CREATE OR REPLACE FUNCTION mainstay_1.within(at timestamp, operation text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE
    WHEN at < '0001-01-01' OR at >= '10000-01-01' THEN mainstay_1.overflow(at, operation) ELSE at END AT TIME ZONE 'UTC' $$;

CREATE OR REPLACE FUNCTION mainstay_1.within(at date, operation text) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE
    WHEN at < '0001-01-01' OR at > '9999-12-31' THEN mainstay_1.overflow(at, operation) ELSE at END $$;

CREATE OR REPLACE FUNCTION mainstay_1.add(at timestamptz, micros bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT mainstay_1.within(at AT TIME ZONE 'UTC'
    + (micros / 86400000000)::int * interval '1 day' + micros % 86400000000 * interval '1 microsecond', 'addition') $$;

CREATE OR REPLACE FUNCTION mainstay_1.sub(at timestamptz, micros bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT mainstay_1.within(at AT TIME ZONE 'UTC'
    - (micros / 86400000000)::int * interval '1 day' - micros % 86400000000 * interval '1 microsecond', 'subtraction') $$;

CREATE OR REPLACE FUNCTION mainstay_1.add(at date, micros bigint) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT mainstay_1.within(at + (micros / 86400000000)::int, 'addition') $$;

CREATE OR REPLACE FUNCTION mainstay_1.sub(at date, micros bigint) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT mainstay_1.within(at - (micros / 86400000000)::int, 'subtraction') $$;

-- ISO 8601: `-P1DT2H3M4.5S`.
CREATE OR REPLACE FUNCTION mainstay_1.duration_text(micros bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN m = 0 THEN 'PT0S' ELSE concat(CASE WHEN micros < 0 THEN '-P' ELSE 'P' END,
        nullif(div(m, 86400000000), 0) || 'D', CASE WHEN m % 86400000000 > 0 THEN 'T' END,
        nullif(div(m % 86400000000, 3600000000), 0) || 'H',
        nullif(div(m % 3600000000, 60000000), 0) || 'M',
        trim_scale(nullif(m % 60000000, 0) / 1000000) || 'S') END
    FROM (SELECT abs(micros::numeric) AS m) x $$;

-- Texts and json -----------------------------------------------------------------------------------------------------

-- In place of an answer for a pattern that nothing finds in time. It takes both so that the planner cannot refuse before there
-- are a text and a pattern.
CREATE OR REPLACE FUNCTION mainstay_1.pattern_too_long(given text, pattern text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ BEGIN
    RAISE numeric_value_out_of_range USING
        MESSAGE = 'a pattern of `like` that has `_` may have at most 1000 characters';
END $$;

-- A `\` at the very end stands for itself; the database takes it for a mistake. An escaped `_` is no wildcard.
CREATE OR REPLACE FUNCTION mainstay_1.matches(given text, pattern text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE
    WHEN length(pattern) > 1000 AND given IS NOT NULL AND strpos(regexp_replace(pattern, '\\.', '', 'g'), '_') > 0
        THEN mainstay_1.pattern_too_long(given, pattern)
    ELSE given LIKE CASE
        WHEN (length(pattern) - length(rtrim(pattern, '\'))) % 2 = 1 THEN pattern || '\' ELSE pattern END END $$;

CREATE OR REPLACE FUNCTION mainstay_1.ends_with(given text, ending text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT right(given, length(ending)) = ending $$;

-- A scalar as text: a string's content, a number as written. Null for null, objects and arrays.
CREATE OR REPLACE FUNCTION mainstay_1.scalar(value json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE
    WHEN json_typeof(value) IN ('object', 'array') THEN NULL ELSE value #>> '{}' END $$;
