use super::*;

/// Pattern, path, whether it is ignored by that pattern alone.
const CASES: &[(&str, &str, bool)] = &[
    // the examples of Docker's documentation ("Build context", .dockerignore)
    ("*/temp*", "somedir/temporary.txt", true),
    ("*/temp*", "somedir/temp", true),
    ("*/temp*", "temp", false),
    ("*/temp*", "a/b/temp", false),
    ("*/*/temp*", "somedir/subdir/temporary.txt", true),
    ("*/*/temp*", "somedir/temporary.txt", false),
    ("temp?", "tempa", true),
    ("temp?", "tempb", true),
    ("temp?", "temp", false),
    ("temp?", "temp/", false),
    ("**/*.go", "main.go", true),
    ("**/*.go", "a/b/c/main.go", true),
    ("**/*.go", "main.goo", false),
    ("foo/bar", "foo/bar", true),
    ("/foo/bar", "foo/bar", true),
    ("/foo/bar/", "foo/bar", true),
    ("foo/bar", "baz/foo/bar", false),
    ("*.md", "README.md", true),
    ("*.md", "docs/README.md", false),
    // a folder takes all that is below it
    ("docs", "docs/a/b", true),
    ("docs/", "docs/a", true),
    ("docs/*", "docs/a/b", true),
    ("doc", "docs/a", false),
    // ** of several kinds
    ("**", "a", true),
    ("**", "a/b", true),
    ("**/", "a/b", true),
    ("**/**", "a/b", true),
    ("a/**", "a", false),
    ("a/**", "a/b", true),
    ("a/**", "a/b/c", true),
    ("**/a", "a", true),
    ("**/a", "x/y/a", true),
    ("**/a", "x/ya", false),
    ("**a", "x/ya", true),
    ("**/a/b", "a/b", true),
    ("**/a/b", "x/a/b", true),
    ("**/a/*", "x/a/b", true),
    ("**/a/**", "x/a/b/c", true),
    ("**/a/**", "x/a", false),
    ("**/*.txt*", "x/y/a.txt.gz", true),
    ("**/**/*.txt", "a.txt", true),
    ("a**/*.txt", "a/x.txt", true),
    ("a**/*.txt", "a/b/c/x.txt", true),
    ("a/**/b", "a/b", true),
    ("a/**/b", "a/x/y/b", true),
    ("a/**/b", "a/xb", false),
    // a quirk of moby's: between other characters ** ends at a slash
    ("a**b", "ab", true),
    ("a**b", "axb", false),
    ("a**b", "ax/b", true),
    ("*a**b", "xaxab", true),
    // Go's classes
    ("a[b-d]e", "ace", true),
    ("a[b-d]e", "aae", false),
    ("a[^b-d]e", "aze", true),
    ("a[^b]e", "a/e", true),
    ("a[!b]e", "a!e", true),
    ("a[\\]]e", "a]e", true),
    ("[a-ζ]*", "α", true),
    ("*[a-ζ]", "A", false),
    ("a?b", "a☺b", true),
    ("a???b", "a☺b", false),
    // what is special only in regular expressions isn't here
    (".*", "foo", false),
    (".*", ".foo", true),
    ("a.c", "abc", false),
    ("a+(b)|{c}$^", "a+(b)|{c}$^", true),
    ("x*/g++[12]", "xy/g++1", true),
    // escapes
    ("a\\*b", "a*b", true),
    ("a\\*b", "axb", false),
    ("a\\\\", "a\\", true),
    ("\\!important", "!important", true),
    ("\\#a", "#a", true),
    // cleaned paths
    ("./a", "a", true),
    ("a//b/../c/", "a/c", true),
    ("../a", "a", false),
    (".", "a", false),
    ("/", "a", false),
];

#[test]
fn patterns_decide_as_documented() {
    for (pattern, path, expected) in CASES {
        let ignore = Ignore::parse(pattern.as_bytes(), ".dockerignore").unwrap();
        assert_eq!(ignore.is_ignored(path), *expected, "{pattern} {path}");
    }
}

/// Several rules, path, whether it is ignored.
#[test]
fn the_last_rule_that_matches_wins() {
    let cases: &[(&[&str], &str, bool)] = &[
        // the documentation's examples
        (&["*.md", "!README.md"], "README.md", false),
        (&["*.md", "!README.md"], "CHANGES.md", true),
        (&["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true),
        (&["*.md", "!README*.md", "README-secret.md"], "README-open.md", false),
        (&["*.md", "README-secret.md", "!README*.md"], "README-secret.md", false),
        // an exception before has nothing to except
        (&["!a.go", "*.go"], "a.go", true),
        // inside an ignored folder
        (&["docs", "!docs/README.md"], "docs/README.md", false),
        (&["docs", "!docs/README.md"], "docs/other.md", true),
        (&["docs/", "!docs/README.md"], "docs/README.md", false),
        (&["*", "!src"], "src/a/b.c", false),
        (&["*", "!src"], "lib/a", true),
        (&["**", "!util/docker/web"], "util/docker/web/foo", false),
        (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true),
        (&["**", "!dist/*.whl"], "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", false),
        (&["*", "!a/b", "a/b/c", "!a/b/c/d"], "a/b/c/d", false),
        (&["*", "!a/b", "a/b/c", "!a/b/c/d"], "a/b/c/e", true),
        (&["*", "! src "], "src/x", false),
        // when Docker walks, an exception that had nothing to except in the folder isn't handed down
        (&["a/b", "!a"], "a/b", true),
        (&["a", "!a"], "a/b", false),
    ];
    for (rules, path, expected) in cases {
        let ignore = Ignore::parse(rules.join("\n").as_bytes(), ".dockerignore").unwrap();
        assert_eq!(ignore.is_ignored(path), *expected, "{rules:?} {path}");
    }
}

#[test]
fn comments_blanks_and_a_byte_order_mark_are_no_patterns() {
    let text = "\u{feff}# no\r\n\r\n  a  \r\n #b\r\n\t!a/keep\r\n";
    let ignore = Ignore::parse(text.as_bytes(), ".dockerignore").unwrap();
    assert!(ignore.is_ignored("a") && !ignore.is_ignored("a/keep") && !ignore.is_ignored("no"));
    assert!(ignore.is_ignored("#b"), "only a # in the first column begins a comment");
    assert!(ignore.has_exceptions());
    assert!(Ignore::parse(b"# nothing", ".dockerignore").unwrap().is_empty());
    assert!(Ignore::new(["#a", " ", "b"]).unwrap().is_ignored("#a"));
}

#[test]
fn bad_patterns_are_shown() {
    for bad in ["[", "[a", "[]a]", "[^]", "[a-]", "[-a]", "[z-a]", "a\\", "!", "! ", "x[\\"] {
        let text = format!("ok\n {bad}\n");
        let error = Ignore::parse(text.as_bytes(), "ctx/.dockerignore").unwrap_err();
        assert!(error.to_string().contains("--> ctx/.dockerignore:2:2"), "{error}");
    }
    assert_eq!(Ignore::new(["[", "a"]).unwrap_err(), InvalidPattern("[".into()));
}

#[test]
fn only_folders_with_exceptions_need_a_look() {
    let ignore = Ignore::new([
        "*",
        "!src/main",
        "!lib/*/keep",
        "!**/LICENSE*",
        "!docs/[a-c]/x",
        "!deep/**/y",
        "!v*/z",
    ])
    .unwrap();
    let all = ["src", "lib", "lib/a", "docs", "docs/b", "deep", "deep/er", "v1"];
    for folder in all {
        assert!(ignore.may_contain_exceptions(folder), "{folder}");
    }
    let ignore =
        Ignore::new(["*", "!src/main", "!lib/*/keep", "!docs/[a-c]/x", "!deep/**/y", "!v*/z"])
            .unwrap();
    for folder in all {
        assert!(ignore.may_contain_exceptions(folder), "{folder}");
    }
    for folder in [
        "node_modules",
        "src/main",
        "src/mai",
        "sr",
        "lib/a/b",
        "docs/d",
        "dee",
        "w",
        "v1/z",
        "libs",
    ] {
        assert!(!ignore.may_contain_exceptions(folder), "{folder}");
    }
}

/// A folder that need not be looked into has nothing in it that would be taken: over all small paths and many rules.
#[test]
fn nothing_is_lost_by_not_looking() {
    let names = ["a", "b", "ab"];
    let mut paths: Vec<String> = names.map(String::from).to_vec();
    for _ in 0..2 {
        let longer: Vec<_> =
            paths.iter().flat_map(|path| names.map(|name| format!("{path}/{name}"))).collect();
        paths.extend(longer);
    }
    let pieces = ["a", "b", "*", "?", "**", "a*", "[ab]", "**b", "[^a]"];
    let mut patterns: Vec<String> = pieces.map(String::from).to_vec();
    let two: Vec<_> =
        patterns.iter().flat_map(|one| pieces.map(|two| format!("{one}/{two}"))).collect();
    let three: Vec<_> =
        two.iter().flat_map(|one| pieces.map(|two| format!("{one}/{two}"))).collect();
    patterns.extend(two);
    patterns.extend(three);
    for pattern in &patterns {
        let ignore = Ignore::new(["**", &format!("!{pattern}")]).unwrap();
        for path in &paths {
            if ignore.is_ignored(path) {
                continue;
            }
            for (end, _) in path.match_indices('/') {
                let folder = &path[..end];
                let looked = !ignore.is_ignored(folder) || ignore.may_contain_exceptions(folder);
                assert!(looked, "!{pattern}: {path} is taken, but {folder} isn't looked into");
            }
        }
    }
}
