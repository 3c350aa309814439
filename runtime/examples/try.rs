// by hand only, not committed
use knarr_core::spec::*;
use knarr_runtime::engine::{Launch, MountSource, ResolvedMount, Stdio, wasm};
static mut PID: i32 = 0;
extern "C" fn fwd(s: i32) {
    unsafe {
        libc::kill(PID, s);
    }
}
fn main() {
    let mut a = std::env::args().skip(1);
    let (mut root, mut rootfs, mut mounts, mut env, mut ports, mut n, mut cwd, mut iso, mut mem) = (
        "/tmp/try-root".to_string(),
        String::new(),
        vec![],
        vec![],
        vec![],
        1,
        String::new(),
        false,
        None,
    );
    let mut rest = vec![];
    let mut quiet = false;
    while let Some(x) = a.next() {
        match x.as_str() {
            "--root" => root = a.next().unwrap(),
            "--rootfs" => rootfs = a.next().unwrap(),
            "-n" => n = a.next().unwrap().parse().unwrap(),
            "-w" => cwd = a.next().unwrap(),
            "-m" => mem = Some(limits::parse_size(&a.next().unwrap()).unwrap()),
            "-q" => quiet = true,
            "--isolate" => iso = true,
            "-e" => env.push(a.next().unwrap()),
            "-p" => ports.extend(port::parse(&a.next().unwrap()).unwrap()),
            "-v" => {
                let v = a.next().unwrap();
                let p: Vec<&str> = v.split(':').collect();
                mounts.push(ResolvedMount {
                    source: MountSource::Path { path: p[0].into(), propagation: None },
                    target: p[1].into(),
                    read_only: p.get(2) == Some(&"ro"),
                });
            }
            "--" => {
                rest.extend(a.by_ref());
            }
            x => {
                rest.push(x.to_string());
                rest.extend(a.by_ref());
            }
        }
    }
    let digest = format!("sha256:{}", "0".repeat(64));
    let layers = std::env::var("LAYERS")
        .ok()
        .map(|l| l.split(',').map(|d| d.parse().unwrap()).collect())
        .unwrap_or_default();
    let spec = ContainerSpec {
        id: knarr_core::id::ContainerId::random(),
        created: jiff::Timestamp::UNIX_EPOCH,
        image: SpecImage {
            reference: "x".into(),
            id: digest.parse().unwrap(),
            manifest: digest.parse().unwrap(),
            platform: "wasi/wasm".parse().unwrap(),
            reason: String::new(),
            layers,
        },
        engine: EngineKind::Wasm,
        process: Process { entrypoint: rest, env, cwd, ..Process::default() },
        hostname: None,
        labels: Default::default(),
        mounts: vec![],
        read_only_rootfs: false,
        limits: Limits { memory: mem, ..Limits::default() },
        security: Security::default(),
        network: NetworkMode::Host,
        ports,
        exposed: vec![],
        extra_hosts: vec![],
        init: false,
        auto_remove: false,
        log: LogConfig::default(),
        healthcheck: None,
        wasm: WasmOptions { isolate_requests: iso },
    };
    let root = knarr_core::root::Root::at(root);
    let mut total = vec![];
    let mut ready = vec![];
    let mut code = 0;
    for _ in 0..n {
        let t = std::time::Instant::now();
        let dup = |fd: i32| {
            use std::os::fd::*;
            unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().unwrap()
        };
        let g = wasm::start_with(
            Launch {
                root: &root,
                spec: &spec,
                rootfs: rootfs.as_ref(),
                mounts: &mounts,
                stdio: Stdio::Pipes { stdin: dup(0), stdout: dup(1), stderr: dup(2) },
            },
            &mut |p| {
                if !quiet {
                    eprintln!("{p:?}")
                }
            },
        );
        let g = match g {
            Ok(g) => g,
            Err(e) => {
                eprintln!("{e} {e:?}");
                std::process::exit(e.exit_code().into())
            }
        };
        ready.push(t.elapsed().as_micros());
        if n == 1 && !g.ports.is_empty() {
            eprintln!("Serving HTTP on http://{}/ pid {}", g.ports[0].1, g.pid);
            unsafe {
                PID = g.pid as i32;
                libc::signal(libc::SIGINT, fwd as *const () as usize);
                libc::signal(libc::SIGTERM, fwd as *const () as usize);
            }
        }
        let mut s = 0;
        unsafe {
            libc::waitpid(g.pid as i32, &mut s, 0);
        }
        total.push(t.elapsed().as_micros());
        code = if libc::WIFEXITED(s) { libc::WEXITSTATUS(s) } else { 128 + libc::WTERMSIG(s) };
    }
    if n > 1 {
        total.sort();
        ready.sort();
        eprintln!(
            "ready median {} us min {}; to exit median {} us min {}",
            ready[n / 2],
            ready[0],
            total[n / 2],
            total[0]
        );
    }
    std::process::exit(code);
}
