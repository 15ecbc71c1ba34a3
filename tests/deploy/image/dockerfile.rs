//! The Dockerfile and its build context.

use super::mutation::{Rule, broken, each_change_counts, each_line_counts};
use super::{run, said, text, tool};

/// The instructions of a Dockerfile, each on one line.
struct Dockerfile {
    build: Vec<String>,
    last: Vec<String>,
}

impl Dockerfile {
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let mut all = Vec::new();
        while let Some(line) = lines.next() {
            let mut whole = line.to_owned();
            while let Some(more) = whole.strip_suffix('\\') {
                whole = format!("{more}{}", lines.next().unwrap_or_default().trim_start());
            }
            all.push(whole);
        }
        let last = all.iter().rposition(|line| line.starts_with("FROM ")).unwrap_or(all.len());
        let last = all.split_off(last);
        Self { build: all, last }
    }

    fn at(&self, start: &str) -> Option<usize> {
        self.build.iter().position(|line| line.starts_with(start))
    }

    fn builds(&self, line: &str) -> bool {
        self.build.iter().any(|it| it == line)
    }

    fn ends_with(&self, line: &str) -> bool {
        self.last.iter().any(|it| it == line)
    }

    /// Returns what follows `start` in the last stage.
    fn last(&self, start: &str) -> &str {
        self.last.iter().find_map(|line| line.strip_prefix(start)).unwrap_or_default()
    }

    /// Returns true if the next `RUN` after `place` contains a `cargo build`.
    fn compiles_after(&self, place: &str) -> bool {
        let after = self.at(place).and_then(|at| self.build.get(at + 1));
        after.is_some_and(|line| {
            let target = "--target \"$(rustc --print host-tuple)\"";
            line.starts_with("RUN ")
                && line.contains("cargo build --locked --release")
                && line.contains(target)
        })
    }
}

/// Labels of the image, and the values that Cargo.toml or the build gives them.
const LABELS: [(&str, &str); 7] = [
    ("title", "Redoubt"),
    ("description", env!("CARGO_PKG_DESCRIPTION")),
    ("licenses", env!("CARGO_PKG_LICENSE")),
    ("source", "${SOURCE}"),
    ("version", "${VERSION}"),
    ("revision", "${REVISION}"),
    ("created", "${CREATED}"),
];

const RULES: &[Rule<Dockerfile>] = &[
    ("the toolchain has a version that is new enough", |file| {
        let from = file.build.first().and_then(|line| line.split("rust:1.").nth(1));
        let minor = from.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        let wanted = env!("CARGO_PKG_RUST_VERSION").split('.').nth(1);
        minor >= wanted.and_then(|wanted| wanted.parse().ok()) && minor.is_some()
    }),
    ("the build stage has a name", |file| {
        file.build.first().is_some_and(|line| line.ends_with(" AS build"))
    }),
    ("the build has a directory of its own", |file| file.builds("WORKDIR /build")),
    ("the binary is static and does not depend on the directory", |file| {
        let flags = "-C target-feature=+crt-static --remap-path-prefix=/usr/local/cargo=/cargo \
                     --remap-path-prefix=/build=/redoubt";
        file.builds(&format!("ENV RUSTFLAGS=\"{flags}\""))
    }),
    ("dependencies are built first, in a separate layer", |file| {
        file.compiles_after("COPY tests/support/Cargo.toml tests/support/Cargo.toml")
            && file.builds("COPY Cargo.toml Cargo.lock ./")
            && file.builds("COPY core/Cargo.toml core/Cargo.toml")
            && file.builds("COPY tests/fuzz_checks/Cargo.toml tests/fuzz_checks/Cargo.toml")
            && file.at("COPY Cargo.toml") < file.at("COPY src src")
    }),
    ("dependencies are built with a placeholder program", |file| {
        let stands_in = file.build.iter().any(|line| {
            line.contains("touch core/src/lib.rs src/lib.rs benches/core.rs benches/load/main.rs ")
                && line.contains("tests/fuzz_checks/src/lib.rs tests/support/src/lib.rs ")
                && line.contains("echo 'fn main() {}' >src/main.rs")
        });
        stands_in && file.build.iter().any(|line| line.contains("find core src -exec touch {} +"))
    }),
    ("the program is built after its dependencies", |file| {
        file.builds("COPY core core") && file.compiles_after("COPY src src")
    }),
    ("the root file system is made by the tested script", |file| {
        let needs = ["COPY LICENSE ./", "COPY config/image config/image"];
        let script = "COPY scripts/rootfs.sh scripts/rootfs.sh";
        needs.iter().all(|line| file.builds(line))
            && file.builds(script)
            && file.builds("RUN scripts/rootfs.sh /build/redoubt /rootfs")
    }),
    ("nothing is fetched", |file| {
        !file.build.iter().chain(&file.last).any(|line| line.starts_with("ADD "))
    }),
    ("nothing else is in the image", |file| {
        let copies: Vec<_> = file.last.iter().filter(|line| line.starts_with("COPY")).collect();
        file.ends_with("FROM scratch") && copies == ["COPY --from=build /rootfs/ /"]
    }),
    ("no command runs in the last stage", |file| {
        !file.last.iter().any(|line| line.starts_with("RUN"))
    }),
    ("the image runs as UID 999", |file| file.ends_with("USER 999:999")),
    ("the image has a health check", |file| {
        let check = file.last("HEALTHCHECK ");
        let timing = ["--interval=", "--timeout=", "--start-period=", "--retries="];
        check.ends_with("CMD [\"/usr/bin/redoubt\", \"healthcheck\"]")
            && timing.iter().all(|option| check.contains(option))
    }),
    ("it starts without a shell", |file| {
        file.ends_with("ENTRYPOINT [\"/usr/bin/redoubt\"]") && file.ends_with("CMD [\"serve\"]")
    }),
    ("it finds its configuration", |file| {
        file.ends_with("ENV PATH=/usr/bin REDOUBT_CONFIG=/etc/redoubt/redoubt.toml")
    }),
    ("port and stop signal are declared", |file| {
        file.ends_with("EXPOSE 6380") && file.ends_with("STOPSIGNAL SIGTERM")
    }),
    ("labels agree with Cargo.toml", |file| {
        let label = file.last("LABEL ");
        LABELS.iter().all(|(name, value)| {
            label.contains(&format!("org.opencontainers.image.{name}=\"{value}\""))
        })
    }),
    ("labels get their build arguments", |file| {
        let given = ["REVISION", "CREATED"];
        given.iter().all(|name| !file.last(&format!("ARG {name}=")).is_empty())
            && file.ends_with(concat!("ARG SOURCE=", env!("CARGO_PKG_REPOSITORY")))
    }),
    ("the version is that of Cargo.toml", |file| {
        file.last("ARG VERSION=") == env!("CARGO_PKG_VERSION")
    }),
];

fn findings(text: &str) -> Vec<String> {
    broken(RULES, &Dockerfile::parse(text))
}

const CHANGES: [(&str, &str); 12] = [
    ("USER 999:999", "USER root"),
    ("FROM scratch", "FROM debian:bookworm-slim"),
    ("[\"/usr/bin/redoubt\", \"healthcheck\"]", "redoubt healthcheck"),
    ("ENTRYPOINT [\"/usr/bin/redoubt\"]", "ENTRYPOINT /usr/bin/redoubt"),
    ("rust:1.95-slim", "rust:latest"),
    ("rust:1.95-slim", "rust:1.60-slim"),
    ("ARG VERSION=", "ARG VERSION=9"),
    ("COPY src src", "COPY . ."),
    ("EXPOSE", "RUN true\nEXPOSE"),
    ("--remap-path-prefix=/build", "--remap-path-prefix=/elsewhere"),
    ("licenses=\"Apache-2.0\"", "licenses=\"MIT\""),
    ("ARG SOURCE=", "ARG SOURCE=https://example.org"),
];

#[test]
fn the_dockerfile_meets_its_requirements() {
    let text = text("Dockerfile");
    each_line_counts(&text, &[], findings);
    each_change_counts(&text, &CHANGES, findings);
}

#[test]
fn hadolint_reports_nothing_about_the_dockerfile() {
    let is = run(tool("hadolint").arg("--no-color").arg("Dockerfile"));
    assert!(is.status.success(), "{}", said(&is));

    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("Dockerfile");
    std::fs::write(&wrong, "FROM debian\nRUN cd /tmp\n").unwrap();
    assert!(
        !run(tool("hadolint").arg(&wrong)).status.success(),
        "hadolint accepts a wrong Dockerfile"
    );
}

#[test]
fn the_build_context_contains_only_copied_files() {
    let ignored = text(".dockerignore");
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", ".dockerignore excludes everything by default");
    let mut permitted: Vec<_> =
        lines[1..].iter().map(|line| line.strip_prefix('!').unwrap()).collect();
    let file = Dockerfile::parse(&text("Dockerfile"));
    let copies = file.build.iter().filter_map(|line| line.strip_prefix("COPY "));
    let mut copied: Vec<_> = copies
        .flat_map(|line| line.split(' ').rev().skip(1).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    // The manifests in a folder are copied before the folder.
    copied.retain(|path| !permitted.iter().any(|folder| path.starts_with(&format!("{folder}/"))));
    permitted.sort_unstable();
    copied.sort_unstable();
    assert_eq!(copied, permitted);
}
