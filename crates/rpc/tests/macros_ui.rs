//! What a user of the macros sees after a mistake: the text, and the line that it points at.

use std::process::Command;

/// These texts are ours.
#[test]
fn the_macros_report_mistakes_where_they_were_made() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// These texts are the compiler's and change with it, so they are looked at with the version that CI uses. What
/// matters is that they point at the user's lines.
#[test]
fn the_compiler_reports_mistakes_where_they_were_made() {
    let version = Command::new("rustc").arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    if version.starts_with("rustc 1.95.") {
        trybuild::TestCases::new().compile_fail("tests/ui/rustc/*.rs");
    } else {
        println!("not compared: the texts are those of 1.95, and this is {version}");
    }
}
