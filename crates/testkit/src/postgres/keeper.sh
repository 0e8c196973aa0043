# The keeper of a private PostgreSQL: sh -c THIS keeper FOLDER BIN PORT.
#
# Starts the server in FOLDER, prints `ready`, and stops it once nobody has held FOLDER/use.lock for LINGER seconds.
# FOLDER/keeper.lock is held for as long as this runs. Prints nothing when the server did not start; FOLDER/log says why.

folder=$1 bin=$2 port=$3
data=$folder/data
LINGER=10

# Linux has flock, the BSDs and macOS lockf; both take the lock that Rust's File::lock takes, for as long as a command runs.
alone() {
    if command -v flock >/dev/null; then flock -o "$@"; else lockf -k "$@"; fi
}
alone_at_once() {
    if command -v flock >/dev/null; then flock -o -n "$@"; else lockf -k -s -t 0 "$@"; fi
}

if [ "$4" != kept ]; then
    alone_at_once "$folder/keeper.lock" /bin/sh -c "$KEEPER" keeper "$folder" "$bin" "$port" kept
    exit
fi

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 && user=postgres || user=nobody
    server() { setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"; }
    give() { chown "$user" "$@"; }
else
    server() { "$@"; }
    give() { :; }
fi

start() {
    mkdir -p "$data" "$folder/socket" && give "$data" "$folder/socket" || return 1
    server "$bin/initdb" -D "$data" -A trust -U postgres -E UTF8 --locale=C --no-sync --no-instructions || return 1
    # A crash of the machine may lose all of it. Whatever setting might differ does.
    cat >>"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$folder/socket'
max_connections = 300
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
timezone = 'America/St_Johns'
datestyle = 'SQL, DMY'
intervalstyle = 'sql_standard'
bytea_output = 'escape'
lc_messages = 'C'
CONF
    if ! server "$bin/pg_ctl" -D "$data" -l "$data/server.log" -w start; then
        cat "$data/server.log"
        return 1
    fi
    # Version 14 has no databases that collate by ICU; there, and where it was built without, the plain locale does.
    url=postgres://postgres@127.0.0.1:$port/postgres
    make="CREATE DATABASE hostile TEMPLATE template0 ENCODING 'UTF8'"
    "$bin/psql" -Xq -d "$url" -c "$make LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'" ||
        "$bin/psql" -Xq -d "$url" -c "$make"
}

end() {
    rm -f "$folder/port"
    if [ -f "$data/postmaster.pid" ]; then server "$bin/pg_ctl" -D "$data" -m immediate -w stop; fi
    rm -rf "$data" "$folder/socket"
}

if [ "$5" = end ]; then
    end >>"$folder/log" 2>&1
    exit
fi

end >"$folder/log" 2>&1
if ! start >>"$folder/log" 2>&1; then
    end >>"$folder/log" 2>&1
    exit 1
fi
echo "$port" >"$folder/port"
echo ready
exec >/dev/null

while :; do
    # Waits until nobody uses it; whoever comes soon still finds it. It ends while nobody can begin to use it.
    alone "$folder/use.lock" true
    sleep "$LINGER"
    alone_at_once "$folder/use.lock" /bin/sh -c "$KEEPER" keeper "$folder" "$bin" "$port" kept end && exit
done
