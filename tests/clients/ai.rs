//! Programs of AI services: indexes of vectors, semantic caches, memories of agents, states of graphs.
//!
//! Their libraries use search and JSON, so they run on Redis with modules. A program prints what each of its
//! steps gives, and must print the same through Redoubt as directly, with the default configuration but
//! for `FT.DROPINDEX`, which is allowed.

use support::servers::STACK_7_4;
use support::{Redis, Redoubt};

use super::{converse, python_of, url};

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
    let start = || Redis::setup().server(STACK_7_4).start();
    let redis = start();
    let direct = format!("redis://:{}@{}/", redis.password(), redis.address());
    let wanted = run(redis, &direct);
    assert!(wanted.len() > 10, "{wanted:?}");

    let redis = start();
    // These programs delete their indexes, which can delete the indexed documents too.
    let redoubt = Redoubt::setup(&redis).set("policy.allow", r#"["FT.DROPINDEX"]"#).start();
    let got = run(redis, &url(&redoubt));
    for line in redoubt.log().all() {
        assert!(!line.contains("\"message\":\"command refused\""), "{line}");
    }
    assert_eq!(got, wanted);
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
