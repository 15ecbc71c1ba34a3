#!/bin/sh
# Starts Redis with a configuration and the password that a file holds:
#
#   redis-server.sh REDIS_CONF PASSWORD_FILE [OPTION...]
#
# The password goes in on standard input, where nobody can read it: arguments are in the list of
# processes, and the environment is in what `docker inspect` shows.
set -eu

conf=${1:?usage: redis-server.sh REDIS_CONF PASSWORD_FILE}
file=${2:?usage: redis-server.sh REDIS_CONF PASSWORD_FILE}
shift 2
password=$(cat "$file")
case $password in
    '' | *[!0-9A-Za-z_.~-]*)
        echo "redis-server.sh: the password in $file must be of letters, digits and _.~-" >&2
        exit 1
        ;;
esac
if [ ${#password} -lt 32 ]; then
    echo "redis-server.sh: the password in $file is shorter than 32 characters" >&2
    exit 1
fi

# The default user is whom Redoubt logs in as, and nobody else. It has what clients may run and what
# Redoubt needs: to make the guard (ACL SETUSER and five more), and to learn whether Redis checks what
# RESTORE brings (CONFIG GET). It has not what Redoubt refuses them anyway.
rights='~* &* +@all'
for refused in flushdb flushall config debug shutdown module \
    replicaof slaveof failover sync psync replconf migrate restore-asking \
    monitor swapdb save bgsave bgrewriteaof pfdebug pfselftest acl; do
    rights="$rights -$refused"
done
for needed in 'acl|whoami' 'acl|list' 'acl|setuser' 'acl|deluser' 'acl|dryrun' 'config|get'; do
    rights="$rights +$needed"
done

exec redis-server "$conf" "$@" - <<END
requirepass $password
user default on >$password $rights
END
