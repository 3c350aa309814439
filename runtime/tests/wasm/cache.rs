//! Modules compiled ahead of time: made once, found again, given up when nobody needs them.

use super::Test;
use super::container::Container;
use super::programs::text;
use knarr_core::hint::Hint;
use knarr_core::image::Digest;
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_runtime::engine::wasm::{Progress, precompile, prune};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

pub const TESTS: &[Test] = &[
    ("cache::a_broken_file_is_compiled_again", broken_cache),
    ("cache::a_module_in_a_layer", layers),
    ("cache::compiled_ahead_of_time", ahead_of_time),
    ("cache::prune_keeps_what_a_layer_needs", pruned),
    ("cache::a_compiler_that_dies_takes_nobody_along", compiler_dies),
    ("cache::a_compiler_has_limits", compiler_limits),
];

fn broken_cache() {
    let module = format!("(module (func (export \"_start\")) (; {} ;))", std::process::id());
    let container = text(&module, &[]);
    assert_eq!(container.run().code(), 0);
    let cache = Container::root().wasm_cache();
    let entries =
        fs::read_dir(&cache).unwrap().flat_map(|d| fs::read_dir(d.unwrap().path()).unwrap());
    let newest = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "cwasm"))
        .max_by_key(|p| p.metadata().unwrap().modified().unwrap())
        .unwrap();
    fs::write(&newest, b"garbage").unwrap();
    assert_eq!(container.run().code(), 0);
    assert!(newest.metadata().unwrap().len() > 1000);
    use std::os::unix::fs::PermissionsExt;
    let mode = newest.parent().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// A module in a layer is found by its identity: what it holds is not read again.
fn layers() {
    let module =
        text(&format!("(module (func (export \"_start\")) (; {} ;))", std::process::id()), &[]);
    let root = Container::root();
    let store = Store::open(&root).unwrap();
    let chain: Digest = format!("sha256:{:064x}", std::process::id()).parse().unwrap();
    let layer = store.layer_path(&chain);
    fs::create_dir_all(&layer).unwrap();
    fs::rename(module.rootfs().join("app.wasm"), layer.join("app.wasm")).unwrap();
    let mut container = module;
    container.spec.image.layers = vec![chain.clone()];
    // as a copied or mounted root shows it: the same file
    fs::hard_link(layer.join("app.wasm"), container.rootfs().join("app.wasm")).unwrap();
    assert_eq!(container.run().code(), 0);
    let links = || {
        let engines = fs::read_dir(root.wasm_cache()).unwrap();
        let layers = engines.map(|e| e.unwrap().path().join("by-layer").join(chain.digest()));
        layers.flat_map(|layer| fs::read_dir(layer).into_iter().flatten()).count()
    };
    let before = links();
    assert_eq!(before, 1);
    assert_eq!(container.run().code(), 0);
    assert_eq!(links(), before);
    // not the layer's file any more: what it is now counts
    let other = "(module (func (export \"_start\") unreachable))";
    fs::remove_file(container.rootfs().join("app.wasm")).unwrap();
    fs::write(container.rootfs().join("app.wasm"), other).unwrap();
    assert_eq!(container.run().code(), 134);
    fs::remove_dir_all(layer.parent().unwrap()).unwrap();
}

/// Compiled ahead of time, as a pull does it.
fn ahead_of_time() {
    let id = std::process::id();
    let container = text(&format!("(module (func (export \"_start\") nop) (; {id} ;))"), &[]);
    let path = container.rootfs().join("app.wasm");
    let mut seen = Vec::new();
    precompile(&Container::root(), &path, &mut |event| seen.push(event)).unwrap();
    assert!(
        matches!(seen[..], [Progress::Compiling { .. }, Progress::Compiled { .. }]),
        "{seen:?}"
    );
    precompile(&Container::root(), &path, &mut |event| panic!("{event:?}")).unwrap();
    assert_eq!(container.run().code(), 0);
    fs::write(&path, "no module").unwrap();
    assert_eq!(precompile(&Container::root(), &path, &mut |_| ()).unwrap_err().exit_code(), 126);
}

/// The compiled files under a root.
fn compiled(root: &Root) -> Vec<PathBuf> {
    let engines = fs::read_dir(root.wasm_cache()).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = engines
        .flat_map(|engine| fs::read_dir(engine).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "cwasm"))
        .collect();
    files.sort();
    files
}

fn pruned() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    let store = Store::open(&root).unwrap();
    let chains = ["a", "b"].map(|c| format!("sha256:{}", c.repeat(64)).parse::<Digest>().unwrap());
    let mut modules = Vec::new();
    for chain in &chains {
        let layer = store.layer_path(chain);
        fs::create_dir_all(&layer).unwrap();
        let module = layer.join("app.wasm");
        fs::write(&module, format!("(module (func (export \"_start\")) (; {chain} ;))")).unwrap();
        precompile(&root, &module, &mut |_| ()).unwrap();
        modules.push(module);
    }
    // of a module in no layer, and of another engine
    let loose = directory.path().join("loose.wasm");
    fs::write(&loose, "(module (func (export \"_start\") unreachable))").unwrap();
    precompile(&root, &loose, &mut |_| ()).unwrap();
    let other = root.wasm_cache().join("wasmtime-1.0.0");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("old.cwasm"), [0; 1000]).unwrap();
    let all = compiled(&root);
    assert_eq!(all.len(), 4);

    // young: somebody may be about to use it
    assert_eq!(prune(&root).unwrap(), 1000);
    assert!(!other.exists());
    assert_eq!(compiled(&root).len(), 3);

    let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
    for path in compiled(&root) {
        fs::File::options().write(true).open(path).unwrap().set_modified(an_hour_ago).unwrap();
    }
    fs::remove_dir_all(store.layer_path(&chains[0]).parent().unwrap()).unwrap();
    assert!(prune(&root).unwrap() > 0);
    assert_eq!(compiled(&root).len(), 1);
    // what is left is of the layer that is left
    precompile(&root, &modules[1], &mut |event| panic!("{event:?}")).unwrap();
    assert_eq!(prune(&root).unwrap(), 0);
    // gone beneath a link: made again
    fs::remove_file(&compiled(&root)[0]).unwrap();
    precompile(&root, &modules[1], &mut |_| ()).unwrap();
    assert_eq!(compiled(&root).len(), 1);
}

fn compiler_dies() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    let module = directory.path().join("app.wasm");
    fs::copy(super::container::built("kit.p1.wasm"), &module).unwrap();
    // what it writes is a signal's death
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    let low = libc::rlimit { rlim_cur: 1000, ..limit };
    unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const low) };
    let error = precompile(&root, &module, &mut |_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 126);
    assert!(error.to_string().ends_with("crashed the compiler (signal 25)"), "{error}");
    assert!(error.hint().unwrap().contains("nothing else was harmed"));
    unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
    // nothing half-written is left
    let engine = fs::read_dir(root.wasm_cache()).unwrap().next().unwrap().unwrap().path();
    let names: Vec<_> = fs::read_dir(engine).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names, ["by-layer"]);
    precompile(&root, &module, &mut |_| ()).unwrap();
    assert_eq!(compiled(&root).len(), 1);
}

/// What is allowed, and not what the module may need: any module needs more than a kilobyte.
fn compiler_limits() {
    // SAFETY: a test has a single thread
    let set = |name: &str, value: &str| unsafe { std::env::set_var(name, value) };
    let module = |count: usize| {
        let body = "local.get 0 i32.const 7 i32.mul i32.const 3 i32.add local.set 0 ".repeat(400);
        let function = format!("(func (param i32) (result i32) {body} local.get 0)");
        format!(
            "(module {} (func (export \"_start\")) (; {} ;))",
            function.repeat(count),
            std::process::id()
        )
    };
    set("KNARR_COMPILE_MEMORY", "1k");
    let mut container = text(&module(40), &[]);
    let error = container.start().map(|_| ()).unwrap_err();
    assert!(error.to_string().ends_with("takes more than 1 MiB of memory"), "{error}");
    assert_eq!(error.exit_code(), 126);
    let hint = error.hint().unwrap();
    assert!(hint.contains("KNARR_COMPILE_MEMORY=") && hint.contains("--memory "), "{hint}");
    // a container's own memory is allowed to its compiler
    container.spec.limits.memory = Some(512 << 20);
    assert_eq!(container.run().code(), 0);

    set("KNARR_COMPILE_MEMORY", "");
    set("KNARR_COMPILE_TIME", "1");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.wasm");
    fs::write(&path, module(4000)).unwrap();
    let error = precompile(&Root::at(directory.path()), &path, &mut |_| ()).unwrap_err();
    assert!(error.to_string().ends_with("takes more than 1 s of processor time"), "{error}");
    assert!(error.hint().unwrap().contains("KNARR_COMPILE_TIME=4"));
    set("KNARR_COMPILE_TIME", "soon");
    let error = precompile(&Root::at(directory.path()), &path, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("KNARR_COMPILE_TIME"), "{error}");
}
