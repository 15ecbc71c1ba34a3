//! Programs of AI services: indexes of vectors, semantic caches, memories of agents, states of graphs.
//!
//! Their libraries use search and JSON, so they run on Redis with modules. A program prints what each of its
//! steps gives, and must print the same through Redoubt, in its default configuration, as directly.

use std::path::Path;

use support::{Redis, Redoubt};

use super::{converse, python_of, url};

/// What a program prints after the name of a step that deletes an index and its documents by
/// `FT.DROPINDEX … DD`. If Redoubt refuses that, the program deletes both in another way.
const INDEX_DELETED: &str = ": index deleted with its documents: ";

/// Starts Redis 7.4 with its modules.
fn stack() -> Redis {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    let lib = target.join("servers/stack-7.4/lib");
    let mut setup = Redis::setup().server("stack-7.4");
    for module in ["redisearch", "rejson", "redistimeseries", "redisbloom"] {
        setup = setup.config(&format!("loadmodule {}/{module}.so", lib.display()));
    }
    setup.start()
}

/// Runs a program directly and through Redoubt, and compares its output. `query` is a part of the URL.
#[track_caller]
fn same_through_redoubt(program: &str, query: &str) {
    let run = |redis: Redis, url: &str| {
        let mut python = python_of("ai", program);
        python.arg(format!("{url}{query}"));
        // Warnings about deprecated names.
        python.env("PYTHONWARNINGS", "ignore");
        steps(&converse(python, redis))
    };
    let redis = stack();
    let direct = format!("redis://:{}@{}/", redis.password(), redis.address());
    let wanted = run(redis, &direct);
    assert!(wanted.len() > 10, "{wanted:?}");

    let redis = stack();
    let redoubt = Redoubt::start(&redis);
    let refused = redoubt.session().command(&["FT.DROPINDEX", "no index", "DD"]);
    let refuses = refused.starts_with(b"-ERR unknown command");
    let got = run(redis, &url(&redoubt));
    for line in redoubt.log().all() {
        let refused = line.contains("\"event\":\"command_refused\"");
        assert!(!refused || line.to_lowercase().contains("dropindex"), "{line}");
    }
    assert_eq!(got.len(), wanted.len(), "{got:#?}\ndirectly: {wanted:#?}");
    for (got, wanted) in got.iter().zip(&wanted) {
        match wanted.split_once(INDEX_DELETED) {
            Some((step, _)) if refuses => {
                let error = got.strip_prefix(&format!("{step}{INDEX_DELETED}RedisSearchError: "));
                assert!(
                    error.is_some_and(|text| text.contains("unknown command 'FT.DROPINDEX'")),
                    "{got}"
                );
            }
            _ => assert_eq!(got, wanted),
        }
    }
}

/// Returns the lines that tell of steps, without those of the libraries.
fn steps(output: &str) -> Vec<String> {
    output.lines().filter_map(|line| line.strip_prefix("step ")).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs large libraries: `make test-clients` installs and runs them"]
fn redisvl_works() {
    same_through_redoubt("vector_index.py", "");
}

#[test]
#[ignore = "needs large libraries: `make test-clients` installs and runs them"]
fn langgraph_works() {
    same_through_redoubt("graph_memory.py", "");
}

#[test]
#[ignore = "needs large libraries: `make test-clients` installs and runs them"]
fn langchain_works() {
    // The library does not understand the replies of RESP3, which redis-py speaks by default.
    same_through_redoubt("answer_cache.py", "?protocol=2");
}

#[test]
#[ignore = "needs large libraries: `make test-clients` installs and runs them"]
fn mem0_works() {
    same_through_redoubt("agent_memory.py", "");
}

#[test]
#[ignore = "needs large libraries: `make test-clients` installs and runs them"]
fn redis_om_works() {
    same_through_redoubt("json_models.py", "");
}
