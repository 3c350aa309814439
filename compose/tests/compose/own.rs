//! What may stand under `x-knarr`; what may not is among the cases.

use knarr_compose::load::{self, Options, Skip};

#[test]
fn good_values_of_own_keys_are_taken() {
    for (own, without_variables) in [
        ("{}", false),
        ("{ variant: wasm }", false),
        ("{ variant: native, outbound: [] }", false),
        ("{ outbound: ['db:5432', '*.example.org', none] }", false),
        ("{ instance_requests: 1 }", false),
        ("{ instance_requests: '7' }", false),
        ("{ instance_requests: unlimited, on_unhealthy: restart }", false),
        (
            "{ variant: '${V:-wasm}', instance_requests: '${N:-1}', on_unhealthy: '${A:-kill}' }",
            false,
        ),
        ("{ variant: '${V}', instance_requests: '${N}', on_unhealthy: '${A}' }", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("services: {{ a: {{ image: x, x-knarr: {own} }} }}\n");
        knarr_core::fsx::write(&folder.path().join("compose.yaml"), text).unwrap();
        let options = Options {
            current: folder.path().canonicalize().unwrap(),
            name: Some("p".into()),
            skip: Skip { interpolation: without_variables, ..Skip::default() },
            ..Options::default()
        };
        let failed = match without_variables {
            true => load::tree(&options).err(),
            false => load::load(&options).err(),
        };
        assert!(failed.is_none(), "{own}: {failed:?}");
    }
}
