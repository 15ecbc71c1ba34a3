//! `redoubt completions` and `redoubt man`: generate completions for shells and manual pages from
//! the command line's definition.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::args::Cli;

/// The name of the manual, in the footer of each page.
const MANUAL: &str = "Redoubt Manual";

/// The reason why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    #[error("cannot write {path}")]
    File { path: PathBuf, source: io::Error },
}

/// Writes the completion script for `shell` to standard output.
pub(crate) fn completions(shell: Shell) -> Result<(), PageError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "redoubt", &mut script);
    io::stdout().write_all(&script).map_err(PageError::Output)
}

/// Writes the main page to standard output, or a page for each command into `directory`.
pub(crate) fn manual(directory: Option<&Path>) -> Result<(), PageError> {
    let mut program = Cli::command();
    // Subcommands get the names of their pages, such as redoubt-audit-verify.
    program.build();
    match directory {
        None => page(program).render(&mut io::stdout()).map_err(PageError::Output),
        Some(directory) => {
            let failed = |source| PageError::File { path: directory.to_owned(), source };
            fs::create_dir_all(directory).map_err(failed)?;
            pages(&program, directory)
        }
    }
}

fn pages(command: &Command, directory: &Path) -> Result<(), PageError> {
    let page = page(command.clone());
    let path = directory.join(page.get_filename());
    page.generate_to(directory).map_err(|source| PageError::File { path, source })?;
    command.get_subcommands().try_for_each(|command| pages(command, directory))
}

fn page(command: Command) -> Man {
    Man::new(command).source(concat!("Redoubt ", env!("CARGO_PKG_VERSION"))).manual(MANUAL)
}
