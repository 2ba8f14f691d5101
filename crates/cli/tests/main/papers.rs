//! What the papers say of the tests.

use std::path::{Path, PathBuf};

/// Every `module::function` in backquotes that looks like a test is one.
#[test]
fn every_test_that_the_papers_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = sources(&root.join("crates"));
    let mut named = 0;
    for paper in ["docs/reliability.md", "ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(root.join(paper)).expect("a paper");
        for (module, function) in text.split('`').skip(1).step_by(2).filter_map(test_name) {
            let file = format!("{module}.rs");
            let of_module = sources.iter().filter(|(path, _)| path.ends_with(&file));
            let is_there = of_module.clone().any(|(_, text)| text.contains(&format!("fn {function}(")));
            assert!(is_there, "{paper} names {module}::{function}");
            named += 1;
        }
    }
    assert!(named > 40, "only {named} tests are named");
}

/// Functions of tests have long names of many words; those of the program do not.
fn test_name(text: &str) -> Option<(&str, &str)> {
    let (module, function) = text.split_once("::")?;
    let is_name =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
    let words = function.split('_').count();
    (is_name(module) && is_name(function) && words > 3).then_some((module, function))
}

/// All files of the program and its tests, with what is in them.
fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
    found
}
