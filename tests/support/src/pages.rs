//! The pages of the documentation.

use std::fs;
use std::path::Path;

use super::root;

/// Returns the text of a page, by its path in the repository.
pub fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns all pages at the top and below `docs`, by their paths in the repository.
pub fn pages() -> Vec<String> {
    fn collect(dir: &str, pages: &mut Vec<String>) {
        for entry in fs::read_dir(root().join(dir)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{dir}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() && !dir.is_empty() {
                collect(&format!("{path}/"), pages);
            } else if Path::new(&path).extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let mut pages = Vec::new();
    collect("", &mut pages);
    collect("docs/", &mut pages);
    pages.sort();
    pages
}
