//! `wasi:filesystem/types@0.3`.

use super::super::Host;
use super::view::{Fd, Files, View, borrow};
use super::walk::is_itself;
use wasmtime::AsContextMut;
use wasmtime::component::{Access, Accessor, FutureReader, StreamReader};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    Filesize, HostDescriptor, HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

type Store = Accessor<Host, Files>;
type Inner = WasiFilesystem;

/// The store as wasmtime-wasi's own functions take it.
fn inner(store: &Store) -> Accessor<Host, WasiFilesystem> {
    store.with_getter::<WasiFilesystem>(Host::filesystem)
}

fn inner_access<'a>(store: &'a mut Access<'_, Host, Files>) -> Access<'a, Host, Inner> {
    Access::<Host, Inner>::new(store.as_context_mut(), Host::filesystem)
}

fn with<R>(store: &Store, f: impl FnOnce(&mut View<'_>) -> R) -> R {
    store.with(|mut access| f(&mut access.get()))
}

/// Whether a refusal may be due to a link.
fn refused<T>(result: &FilesystemResult<T>) -> bool {
    matches!(result, Err(e) if matches!(e.downcast_ref(), Some(ErrorCode::NotPermitted)))
}

/// An operation on one path; once more by another way where it was refused.
macro_rules! retry {
    ($store:ident, $fd:ident, $path:ident, $follow:expr, |$inner:ident, $f:ident, $p:ident| $call:expr) => {{
        let $inner = &inner($store);
        let $path = with($store, |view| view.placed(&$fd, $path));
        let result = {
            let ($f, $p) = (borrow(&$fd), $path.clone());
            $call.await
        };
        if !refused(&result) {
            return result;
        }
        let Some(subject) = with($store, |view| view.resolve(&$fd, &$path, $follow)) else {
            return result;
        };
        let again = {
            let ($f, $p) = (borrow(&subject.fd), subject.path.clone());
            $call.await
        };
        with($store, |view| view.done(subject));
        again
    }};
}

/// The same for two paths.
macro_rules! retry_both {
    ($store:ident, ($fd:ident, $old:ident), ($new_fd:ident, $new:ident),
     |$inner:ident, $f:ident, $p:ident, $t:ident, $q:ident| $call:expr) => {{
        let $inner = &inner($store);
        let ($old, $new) =
            with($store, |view| (view.placed(&$fd, $old), view.placed(&$new_fd, $new)));
        let result = {
            let ($f, $p, $t, $q) = (borrow(&$fd), $old.clone(), borrow(&$new_fd), $new.clone());
            $call.await
        };
        if !refused(&result) {
            return result;
        }
        let both = with($store, |view| view.resolve_both((&$fd, &$old), (&$new_fd, &$new)));
        let Some((from, to)) = both else { return result };
        let again = {
            let ($f, $p, $t, $q) =
                (borrow(&from.fd), from.path.clone(), borrow(&to.fd), to.path.clone());
            $call.await
        };
        with($store, |view| [from, to].into_iter().for_each(|subject| view.done(subject)));
        again
    }};
}

fn follows(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

impl preopens::Host for View<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let directories = preopens::Host::get_directories(&mut self.inner)?;
        self.remember_preopened(&directories);
        Ok(directories)
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.inner, error)
    }
}

impl HostDescriptor for View<'_> {
    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.opened.remove(fd.rep());
        HostDescriptor::drop(&mut self.inner, fd)
    }
}

impl HostDescriptorWithStore<Host> for Files {
    async fn create_directory_at(store: &Store, fd: Fd, path: String) -> FilesystemResult<()> {
        retry!(store, fd, path, false, |inner, f, p| Inner::create_directory_at(inner, f, p))
    }

    async fn stat_at(
        store: &Store,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<DescriptorStat> {
        retry!(store, fd, path, follows(flags), |inner, f, p| Inner::stat_at(inner, f, flags, p))
    }

    async fn set_times_at(
        store: &Store,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        retry!(store, fd, path, follows(flags), |inner, f, p| Inner::set_times_at(
            inner, f, flags, p, accessed, modified
        ))
    }

    async fn link_at(
        store: &Store,
        fd: Fd,
        flags: PathFlags,
        old: String,
        new_fd: Fd,
        new: String,
    ) -> FilesystemResult<()> {
        if is_itself(&old) {
            return Err(ErrorCode::NotPermitted.into());
        }
        retry_both!(store, (fd, old), (new_fd, new), |inner, f, p, t, q| Inner::link_at(
            inner, f, flags, p, t, q
        ))
    }

    async fn open_at(
        store: &Store,
        fd: Fd,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        access: DescriptorFlags,
    ) -> FilesystemResult<Fd> {
        let (parent, name) = (borrow(&fd), with(store, |view| view.placed(&fd, path.clone())));
        let opened = async {
            retry!(store, fd, path, follows(flags), |inner, f, p| Inner::open_at(
                inner, f, flags, p, open, access
            ))
        };
        let opened = opened.await?;
        if open.contains(OpenFlags::DIRECTORY) {
            with(store, |view| view.remember(&parent, &name, &opened));
        }
        Ok(opened)
    }

    async fn readlink_at(store: &Store, fd: Fd, path: String) -> FilesystemResult<String> {
        let path = with(store, |view| view.placed(&fd, path));
        let result = Inner::readlink_at(&inner(store), borrow(&fd), path.clone()).await;
        if !refused(&result) {
            return result;
        }
        with(store, |view| view.link_target(&fd, &path)).map_or(result, Ok)
    }

    async fn remove_directory_at(store: &Store, fd: Fd, path: String) -> FilesystemResult<()> {
        retry!(store, fd, path, false, |inner, f, p| Inner::remove_directory_at(inner, f, p))
    }

    async fn rename_at(
        store: &Store,
        fd: Fd,
        old: String,
        new_fd: Fd,
        new: String,
    ) -> FilesystemResult<()> {
        retry_both!(store, (fd, old), (new_fd, new), |inner, f, p, t, q| Inner::rename_at(
            inner, f, p, t, q
        ))
    }

    async fn symlink_at(
        store: &Store,
        fd: Fd,
        target: String,
        path: String,
    ) -> FilesystemResult<()> {
        retry!(store, fd, path, false, |inner, f, p| Inner::symlink_at(inner, f, target.clone(), p))
    }

    async fn unlink_file_at(store: &Store, fd: Fd, path: String) -> FilesystemResult<()> {
        retry!(store, fd, path, false, |inner, f, p| Inner::unlink_file_at(inner, f, p))
    }

    async fn metadata_hash_at(
        store: &Store,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        retry!(store, fd, path, follows(flags), |inner, f, p| Inner::metadata_hash_at(
            inner, f, flags, p
        ))
    }

    // what has no path is wasmtime-wasi's alone

    fn read_via_stream(
        mut store: Access<'_, Host, Self>,
        fd: Fd,
        at: Filesize,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), ErrorCode>>)> {
        Inner::read_via_stream(inner_access(&mut store), fd, at)
    }

    fn write_via_stream(
        mut store: Access<'_, Host, Self>,
        fd: Fd,
        bytes: StreamReader<u8>,
        at: Filesize,
    ) -> wasmtime::Result<FutureReader<Result<(), ErrorCode>>> {
        Inner::write_via_stream(inner_access(&mut store), fd, bytes, at)
    }

    fn append_via_stream(
        mut store: Access<'_, Host, Self>,
        fd: Fd,
        bytes: StreamReader<u8>,
    ) -> wasmtime::Result<FutureReader<Result<(), ErrorCode>>> {
        Inner::append_via_stream(inner_access(&mut store), fd, bytes)
    }

    fn read_directory(
        mut store: Access<'_, Host, Self>,
        fd: Fd,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, FutureReader<Result<(), ErrorCode>>)> {
        Inner::read_directory(inner_access(&mut store), fd)
    }

    async fn advise(
        store: &Store,
        fd: Fd,
        at: Filesize,
        length: Filesize,
        how: Advice,
    ) -> FilesystemResult<()> {
        Inner::advise(&inner(store), fd, at, length, how).await
    }

    async fn sync_data(store: &Store, fd: Fd) -> FilesystemResult<()> {
        Inner::sync_data(&inner(store), fd).await
    }

    async fn get_flags(store: &Store, fd: Fd) -> FilesystemResult<DescriptorFlags> {
        Inner::get_flags(&inner(store), fd).await
    }

    async fn get_type(store: &Store, fd: Fd) -> FilesystemResult<DescriptorType> {
        Inner::get_type(&inner(store), fd).await
    }

    async fn set_size(store: &Store, fd: Fd, size: Filesize) -> FilesystemResult<()> {
        Inner::set_size(&inner(store), fd, size).await
    }

    async fn set_times(
        store: &Store,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        Inner::set_times(&inner(store), fd, accessed, modified).await
    }

    async fn sync(store: &Store, fd: Fd) -> FilesystemResult<()> {
        Inner::sync(&inner(store), fd).await
    }

    async fn stat(store: &Store, fd: Fd) -> FilesystemResult<DescriptorStat> {
        Inner::stat(&inner(store), fd).await
    }

    async fn is_same_object(store: &Store, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        Inner::is_same_object(&inner(store), fd, other).await
    }

    async fn metadata_hash(store: &Store, fd: Fd) -> FilesystemResult<MetadataHashValue> {
        Inner::metadata_hash(&inner(store), fd).await
    }
}
