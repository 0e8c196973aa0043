# A PostgreSQL of one test's own: sh -c THIS own FOLDER BIN PORT [PRIMARY], where PRIMARY is the port of a server that this one
# follows as a standby. SETTINGS of the environment stand behind those that tests want. With TLS
# in the environment it has a certificate, with its root in FOLDER/root.pem and somebody else's in FOLDER/other.pem.
#
# Does what is asked on its input, one word a line: `start` and `crash`; answers `ok` or `failed` to each. Ends the server
# and removes the folder when its input ends, which it does when whoever asks has ended, in whatever way.

folder=$1 bin=$2 port=$3 primary=$4
data=$folder/data

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 && user=postgres || user=nobody
    server() { setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"; }
    chown "$user" "$folder"
else
    server() { "$@"; }
fi

root() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$1" -keyout "$folder/$1.key" \
        -out "$folder/$1.pem" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}

# Of version 3, as every certificate is that names what it is for.
certify() {
    root root && root other || return 1
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -keyout "$data/server.key" \
        -out "$folder/server.csr" || return 1
    printf 'subjectAltName = DNS:localhost\nextendedKeyUsage = serverAuth\nbasicConstraints = critical, CA:FALSE\n' \
        >"$folder/server.ext"
    openssl x509 -req -in "$folder/server.csr" -CA "$folder/root.pem" -CAkey "$folder/root.key" -CAcreateserial -days 30 \
        -extfile "$folder/server.ext" -out "$data/server.crt" || return 1
    chmod 600 "$data/server.key" && chmod 644 "$folder/root.pem" "$folder/other.pem" || return 1
    [ "$(id -u)" != 0 ] || chown "$user" "$data/server.key" "$data/server.crt"
    echo 'ssl = on' >>"$data/postgresql.conf"
}

prepare() {
    if [ "$primary" ]; then
        server "$bin/pg_basebackup" -D "$data" -h 127.0.0.1 -p "$primary" -U postgres -R -c fast --no-sync || return 1
    else
        server "$bin/initdb" -D "$data" -A trust -U postgres -E UTF8 --locale=C --no-sync --no-instructions || return 1
    fi
    # What was committed survives the end of the server, if not of the machine.
    cat >>"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
shared_buffers = 16MB
fsync = off
full_page_writes = off
$SETTINGS
CONF
    if [ "$TLS" ]; then certify; fi
}

act() {
    case $1 in
    start) server "$bin/pg_ctl" -D "$data" -l "$folder/log" -w start ;;
    crash) server "$bin/pg_ctl" -D "$data" -m immediate -w stop ;;
    *) return 1 ;;
    esac
}

prepare >"$folder/prepared" 2>&1
while read -r word; do
    if act "$word" >>"$folder/acted" 2>&1 </dev/null; then echo ok; else echo failed; fi
done
act crash >/dev/null 2>&1
rm -rf "$folder"
