//! Commands whose replies cannot hold a client's or a script's text outside a bulk string.
//!
//! A server that repeats such text in an error line may send its line ends along, and then one reply
//! reads as several (`FUNCTION LOAD`, `EVAL` and `SCRIPT LOAD` do so in every version). Where many
//! sessions share a connection and nothing separates their replies, only the commands of this list may
//! run: every error that they can give is a constant, or a text in which the server itself replaces
//! line ends. `tests/protocol/plain_commands.rs` checks this by sending hostile arguments to real
//! servers. All other commands share connections on which barriers separate the sessions' replies.

/// Returns true if the command called `name` (lower case) is plain while it has no options. With an
/// option that it does not know, its error repeats the option.
pub(super) const fn is_plain_without_options(name: &str) -> bool {
    matches!(name.as_bytes(), b"expire" | b"expireat" | b"pexpire" | b"pexpireat")
}

/// Returns true if the command called `name` (lower case) is plain with any arguments.
#[rustfmt::skip]
pub(super) const fn is_plain(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        // Strings and bits.
        b"append" | b"bitcount" | b"bitfield" | b"bitfield_ro" | b"bitop" | b"bitpos" | b"decr"
            | b"decrby" | b"get" | b"getbit" | b"getdel" | b"getex" | b"getrange" | b"getset"
            | b"incr" | b"incrby" | b"incrbyfloat" | b"lcs" | b"mget" | b"mset" | b"msetnx"
            | b"psetex" | b"set" | b"setbit" | b"setex" | b"setnx" | b"setrange" | b"strlen"
            | b"substr"
        // Keys.
            | b"copy" | b"dbsize" | b"del" | b"delifeq" | b"dump" | b"exists" | b"expiretime"
            | b"keys" | b"move" | b"persist" | b"pexpiretime" | b"pttl" | b"randomkey" | b"rename"
            | b"renamenx" | b"touch" | b"ttl" | b"type" | b"unlink"
        // Hashes.
            | b"hdel" | b"hexists" | b"hget" | b"hgetall" | b"hincrby" | b"hincrbyfloat" | b"hkeys"
            | b"hlen" | b"hmget" | b"hmset" | b"hrandfield" | b"hscan" | b"hset" | b"hsetnx"
            | b"hstrlen" | b"hvals"
        // Fields with a time to live, without the commands that name an unknown option in their error.
            | b"hexpiretime" | b"hgetdel" | b"hpersist" | b"hpexpiretime" | b"hpttl" | b"httl"
        // Lists.
            | b"lindex" | b"linsert" | b"llen" | b"lmove" | b"lmpop" | b"lpop" | b"lpos" | b"lpush"
            | b"lpushx" | b"lrange" | b"lrem" | b"lset" | b"ltrim" | b"rpop" | b"rpoplpush"
            | b"rpush" | b"rpushx"
        // Sets.
            | b"sadd" | b"scard" | b"sdiff" | b"sdiffstore" | b"sinter" | b"sintercard"
            | b"sinterstore" | b"sismember" | b"smembers" | b"smismember" | b"smove" | b"spop"
            | b"srandmember" | b"srem" | b"sscan" | b"sunion" | b"sunionstore"
        // Sorted sets.
            | b"zadd" | b"zcard" | b"zcount" | b"zdiff" | b"zdiffstore" | b"zincrby" | b"zinter"
            | b"zintercard" | b"zinterstore" | b"zlexcount" | b"zmpop" | b"zmscore" | b"zpopmax"
            | b"zpopmin" | b"zrandmember" | b"zrange" | b"zrangebylex" | b"zrangebyscore"
            | b"zrangestore" | b"zrank" | b"zrem" | b"zremrangebylex" | b"zremrangebyrank"
            | b"zremrangebyscore" | b"zrevrange" | b"zrevrangebylex" | b"zrevrangebyscore"
            | b"zrevrank" | b"zscan" | b"zscore" | b"zunion" | b"zunionstore"
        // Streams, without the commands that name a missing group in their error.
            | b"xack" | b"xadd" | b"xdel" | b"xlen" | b"xrange" | b"xrevrange" | b"xtrim"
        // Vector sets, without the searches, which are answered late.
            | b"vcard" | b"vdim" | b"vemb" | b"vgetattr" | b"vinfo" | b"vismember" | b"vlinks"
            | b"vrandmember" | b"vrem"
        // The rest.
            | b"echo" | b"pfadd" | b"pfcount" | b"pfmerge" | b"ping" | b"publish" | b"spublish"
            | b"time"
    )
}
