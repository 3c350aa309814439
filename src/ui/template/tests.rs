use super::{Template, Value};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: &'static str,
    name: &'static str,
    state: State,
    labels: BTreeMap<&'static str, &'static str>,
    cmd: Vec<&'static str>,
    mounts: Vec<Mount>,
    health: Option<State>,
    memory: u64,
    ratio: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: &'static str,
    running: bool,
    exit_code: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    source: &'static str,
    destination: &'static str,
}

fn data() -> Value {
    let data = Container {
        id: "4f0c8b6e",
        name: "/web",
        state: State { status: "running", running: true, exit_code: 0 },
        labels: [("tier", "front"), ("com.example.owner", "me")].into(),
        cmd: vec!["sh", "-c", "echo hi"],
        mounts: vec![
            Mount { source: "/a", destination: "/b" },
            Mount { source: "/c", destination: "/d" },
        ],
        health: None,
        memory: 1 << 20,
        ratio: 0.5,
    };
    Value::of(&data).unwrap()
}

fn render(template: &str) -> String {
    match Template::parse(template).and_then(|t| t.render(&data())) {
        Ok(text) => text,
        Err(error) => format!("error: {error}"),
    }
}

/// Templates and what Go's text/template makes of them, with the docker CLI's functions.
#[test]
fn as_go_renders() {
    let cases: &[(&str, &str)] = &[
        ("plain", "plain"),
        ("{{.ID}} {{.Id}}", "4f0c8b6e 4f0c8b6e"),
        ("{{ .State.Status }}", "running"),
        ("{{.Labels}}", "map[com.example.owner:me tier:front]"),
        ("{{.Cmd}}", "[sh -c echo hi]"),
        ("{{.State}}", "{running true 0}"),
        ("{{.Labels.tier}}|{{.Labels.none}}", "front|<no value>"),
        (r#"{{index .Labels "com.example.owner"}}|{{index .Labels "none"}}|"#, "me||"),
        ("{{index .Cmd 2}} {{len .Cmd}} {{len .Name}}", "echo hi 3 4"),
        ("{{.Health}}", "<nil>"),
        ("{{json .State}}", r#"{"Status":"running","Running":true,"ExitCode":0}"#),
        ("{{json .Cmd}} {{.Health | json}}", r#"["sh","-c","echo hi"] null"#),
        (r#"{{json "<a&b>"}}"#, r#""<a&b>""#),
        // white space
        ("a {{- 1 -}} b", "a1b"),
        ("a \n {{- /* note */ -}} \t b", "ab"),
        ("{{/* note */}}x", "x"),
        ("{{-3}} {{ -3 }}", "-3 -3"),
        ("{{23 -}} < {{- 45}}", "23<45"),
        // conditions
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if not .State.Running}}a{{else if .Health}}b{{else}}c{{end}}", "c"),
        ("{{if and .State.Running (eq .State.ExitCode 0)}}ok{{end}}", "ok"),
        ("{{if .State.ExitCode}}x{{end}}{{if .Labels}}y{{end}}", "y"),
        (r#"{{or .Health "none"}} {{and 0 1}} {{or 0 ""}}|"#, "none 0 |"),
        ("{{and false (index .Cmd 99)}}", "false"),
        ("{{with .Health}}{{.Status}}{{else}}no check{{end}}", "no check"),
        ("{{with $x := .State}}{{.Status}} {{$x.ExitCode}} {{$.Name}}{{end}}", "running 0 /web"),
        ("{{with .Health}}a{{else with .State}}{{.Status}}{{end}}", "running"),
        // comparison
        (
            r#"{{eq .State.Status "exited" "running"}} {{ne 1 2}} {{lt 1 2}} {{ge "b" "a"}}"#,
            "true true true true",
        ),
        // ranges
        ("{{range .Mounts}}{{.Source}}:{{.Destination}} {{end}}", "/a:/b /c:/d "),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "com.example.owner=me;tier=front;"),
        ("{{range $i, $a := .Cmd}}{{if $i}},{{end}}{{$a}}{{end}}", "sh,-c,echo hi"),
        ("{{range .Health}}x{{else}}none{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range .Cmd}}{{if eq . \"-c\"}}{{continue}}{{end}}{{.}}{{break}}{{end}}", "sh"),
        // variables
        ("{{$a := 1}}{{if true}}{{$a = 2}}{{$b := 3}}{{end}}{{$a}}", "2"),
        ("{{$a := 1}}{{if true}}{{$a := 2}}{{end}}{{$a}}", "1"),
        // pipelines
        (r#"{{.Name | printf "%s-%s" "x"}}"#, "x-/web"),
        (r#"{{(index .Mounts 1).Source}}"#, "/c"),
        (r#"{{.Cmd | join " "}}"#, "error: join: it cannot be called with a string, a list"),
        (r#"{{join .Cmd " "}}"#, "sh -c echo hi"),
        (r#"{{index (split .Name "/") 1 | upper}}"#, "WEB"),
        (
            r#"{{title "hello world"}} {{lower "ÄB"}} {{truncate .Id 4}} {{pad "x" 1 2}}|"#,
            "Hello World äb 4f0c  x  |",
        ),
        (r#"{{println "a" 1}}{{print "a" 1 2 "b"}}"#, "a 1\na1 2b"),
        (r#"{{slice .Id 0 3}} {{"\u00e9\x41\t"}}{{`\n`}}"#, "4f0 éA\t\\n"),
        (
            r#"{{printf "%-6s|%5d|%05d|%q|%.2f|%x|%t|%v|%%" "ab" 42 42 "c" .Ratio 255 true .Cmd}}"#,
            "ab    |   42|00042|\"c\"|0.50|ff|true|[sh -c echo hi]|%",
        ),
        (
            r#"{{printf "%d" "x"}} {{printf "%s"}} {{printf "x" 1}}"#,
            "%!d(string=x) %!s(MISSING) x%!(EXTRA int=1)",
        ),
        // what Go 1.27 prints
        (
            r#"{{printf "%#v %t %c %U %e %g %08.3f %o %b %#x" "a" true 65 65 1.5 1.5 2.5 8 5 255}}"#,
            "\"a\" true A U+0041 1.500000e+00 1.5 0002.500 10 101 0xff",
        ),
        (r#"{{printf "%*d|%-*d|%.*f|%+d|%X" 5 3 4 6 1 2.25 7 "k"}}"#, "    3|6   |2.2|+7|6B"),
        (r#"{{printf "%[2]s %[1]s" "a" "b"}} {{printf "%[3]s" "a"}}"#, "b a %!s(BADINDEX)"),
        (r#"{{printf "%!"}} {{printf "%"}}"#, "%!!(MISSING) %!(NOVERB)"),
    ];
    for (template, expected) in cases {
        assert_eq!(render(template), *expected, "{template}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let cases: &[(&str, &str)] = &[
        ("{{.Nme}}", "there is no field .Nme"),
        ("{{.Health.Status}}", "cannot take the field .Status of nil"),
        ("{{.Name.First}}", "cannot take the field .First of a string"),
        ("{{", "unclosed action"),
        ("{{.Name", "unclosed action"),
        ("{{}}", "missing value for command"),
        ("{{if .Name}}", "{{if}} has no {{end}}"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{foo .Name}}", "function \"foo\" is not defined"),
        ("{{.Name}", "unexpected '}' in an action"),
        ("{{$x}}", "undefined variable \"$x\""),
        ("{{\"a}}", "unterminated string"),
        ("{{nil}}", "nil is not a command"),
        ("{{.Name | 3}}", "a constant takes no arguments"),
        ("{{range .Name}}{{end}}", "cannot range over a string"),
        ("{{lt 1 \"a\"}}", "lt: it cannot be called with a number, a string"),
        ("{{index .Cmd 9}}", "index: index out of range: 9"),
        ("{{.Name 1}}", ".Name: it is a value and takes no arguments"),
        ("{{(.Name}}", "unexpected }} in parenthesis"),
        ("{{/* x }}", "unclosed comment"),
    ];
    for (template, expected) in cases {
        assert_eq!(render(template), format!("error: {expected}"), "{template}");
    }
}

#[test]
fn headings_go_through_functions_unchanged() {
    let headings = Value::Struct(vec![
        ("ID".into(), Value::text("CONTAINER ID")),
        ("Label".into(), Value::text("LABEL")),
    ]);
    let template =
        Template::parse(r#"{{truncate .ID 4}} {{.ID | lower}} {{.Label "tier"}}"#).unwrap();
    assert_eq!(template.render_heading(&headings).unwrap(), "CONTAINER ID CONTAINER ID tier");
}

#[test]
fn named_templates_and_escapes() {
    for (template, shown) in [
        (r#"{{define "x"}}[{{.}}]{{end}}{{template "x" .Name}}"#, "[/web]"),
        (r#"{{template "x" .}}{{define "x"}}{{.Id}}{{end}}"#, "4f0c8b6e"),
        (r#"{{define "x"}}{{$}}{{end}}{{template "x"}}"#, "<nil>"),
        (r#"{{block "b" .State}}{{.Status}}{{end}}"#, "running"),
        (
            r#"{{range .Cmd}}{{template "w" .}}{{end}}{{define "w"}}<{{.}}>{{end}}"#,
            "<sh><-c><echo hi>",
        ),
        (
            r#"{{define "x"}}{{template "x"}}{{end}}{{template "x"}}"#,
            "error: template \"x\" uses itself without an end",
        ),
        (r#"{{template "nope"}}"#, "error: template \"nope\" is not defined"),
        (r#"{{define "x"}}"#, "error: {{define}} has no {{end}}"),
        (r#"{{html "<a href='x'>&</a>"}}"#, "&lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt;"),
        (r#"{{js "it's <b>"}}"#, r"it\'s \u003Cb\u003E"),
        (r#"{{urlquery "a b" "&é"}}"#, "a+b%26%C3%A9"),
        (r#"{{printf "%T %T %T" .Name .State.ExitCode .State.Running}}"#, "string int bool"),
        (r#"{{if .Health}}{{.Health.Status}}{{else}}none{{end}}"#, "none"),
        (r#"{{with .Health}}x{{else with .Name}}{{.}}{{end}}"#, "/web"),
    ] {
        assert_eq!(render(template), shown, "{template}");
    }
}

#[test]
fn what_was_never_made_is_empty() {
    use knarr_core::nil;
    #[derive(Serialize)]
    struct Document {
        list: nil::Slice,
        map: nil::Map,
    }
    let value = Value::of(&Document { list: nil::Slice, map: nil::Map }).unwrap();
    for (template, shown) in [
        ("{{.list}} {{json .list}} {{len .list}}", "[] null 0"),
        ("{{.map}} {{json .map}} {{len .map}}", "map[] null 0"),
        ("{{range .list}}x{{else}}none{{end}}", "none"),
        ("{{if .map}}x{{else}}none{{end}}", "none"),
        ("{{join .list \",\"}}", ""),
    ] {
        let rendered = Template::parse(template).unwrap().render(&value).unwrap();
        assert_eq!(rendered, shown, "{template}");
    }
}
