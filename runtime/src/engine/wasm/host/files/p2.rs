//! `wasi:filesystem/types@0.2`.

use super::listing::Stream;
use super::view::{Fd, View, borrow};
use super::walk::is_itself;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

/// Whether a refusal may be due to a link.
fn refused<T>(result: &FsResult<T>) -> bool {
    matches!(result, Err(e) if matches!(e.downcast_ref(), Some(ErrorCode::NotPermitted)))
}

/// An operation on one path; once more by another way where it was refused.
macro_rules! retry {
    ($view:ident, $fd:ident, $path:ident, $follow:expr, |$f:ident, $p:ident| $call:expr) => {{
        let $path = $view.placed(&$fd, $path);
        let result = {
            let ($f, $p) = (borrow(&$fd), $path.clone());
            $call.await
        };
        if !refused(&result) {
            return result;
        }
        let Some(subject) = $view.resolve(&$fd, &$path, $follow) else { return result };
        let again = {
            let ($f, $p) = (borrow(&subject.fd), subject.path.clone());
            $call.await
        };
        $view.done(subject);
        again
    }};
}

impl preopens::Host for View<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let directories = preopens::Host::get_directories(&mut self.inner)?;
        self.remember_preopened(&directories);
        Ok(directories)
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.inner.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.inner.filesystem_error_code(error)
    }
}

impl HostDescriptor for View<'_> {
    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        retry!(self, fd, path, false, |f, p| self.inner.create_directory_at(f, p))
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        retry!(self, fd, path, follow, |f, p| self.inner.stat_at(f, flags, p))
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        retry!(self, fd, path, follow, |f, p| self
            .inner
            .set_times_at(f, flags, p, accessed, modified))
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        open: OpenFlags,
        access: DescriptorFlags,
    ) -> FsResult<Fd> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let name = self.placed(&fd, path.clone());
        let parent = borrow(&fd);
        let opened = async {
            retry!(self, fd, path, follow, |f, p| self.inner.open_at(f, flags, p, open, access))
        };
        let opened = opened.await?;
        if open.contains(OpenFlags::DIRECTORY) {
            self.remember(&parent, &name, &opened);
        }
        Ok(opened)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let path = self.placed(&fd, path);
        let result = self.inner.readlink_at(borrow(&fd), path.clone()).await;
        if !refused(&result) {
            return result;
        }
        self.link_target(&fd, &path).map_or(result, Ok)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        retry!(self, fd, path, false, |f, p| self.inner.remove_directory_at(f, p))
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        retry!(self, fd, path, false, |f, p| self.inner.unlink_file_at(f, p))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        retry!(self, fd, path, follow, |f, p| self.inner.metadata_hash_at(f, flags, p))
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        retry!(self, fd, path, false, |f, p| self.inner.symlink_at(f, target.clone(), p))
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        old: String,
        new_fd: Fd,
        new: String,
    ) -> FsResult<()> {
        if is_itself(&old) {
            return Err(ErrorCode::NotPermitted.into());
        }
        let (old, new) = (self.placed(&fd, old), self.placed(&new_fd, new));
        let first =
            self.inner.link_at(borrow(&fd), flags, old.clone(), borrow(&new_fd), new.clone()).await;
        if !refused(&first) {
            return first;
        }
        let Some((from, to)) = self.resolve_both((&fd, &old), (&new_fd, &new)) else {
            return first;
        };
        let (f, t) = (borrow(&from.fd), borrow(&to.fd));
        let again = self.inner.link_at(f, flags, from.path.clone(), t, to.path.clone()).await;
        self.done(from);
        self.done(to);
        again
    }

    async fn rename_at(&mut self, fd: Fd, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        let (old, new) = (self.placed(&fd, old), self.placed(&new_fd, new));
        let first =
            self.inner.rename_at(borrow(&fd), old.clone(), borrow(&new_fd), new.clone()).await;
        if !refused(&first) {
            return first;
        }
        let Some((from, to)) = self.resolve_both((&fd, &old), (&new_fd, &new)) else {
            return first;
        };
        let (f, t) = (borrow(&from.fd), borrow(&to.fd));
        let again = self.inner.rename_at(f, from.path.clone(), t, to.path.clone()).await;
        self.done(from);
        self.done(to);
        again
    }

    // what has no path is wasmtime-wasi's alone

    async fn advise(
        &mut self,
        fd: Fd,
        at: Filesize,
        length: Filesize,
        how: Advice,
    ) -> FsResult<()> {
        self.inner.advise(fd, at, length, how).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.inner.sync_data(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.inner.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.inner.get_type(fd).await
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        self.inner.set_size(fd, size).await
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.inner.set_times(fd, accessed, modified).await
    }

    async fn read(&mut self, fd: Fd, length: Filesize, at: Filesize) -> FsResult<(Vec<u8>, bool)> {
        self.inner.read(fd, length, at).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, at: Filesize) -> FsResult<Filesize> {
        self.inner.write(fd, bytes, at).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let number = fd.rep();
        let whole = self.inner.read_directory(fd).await?;
        let mut entries = Vec::new();
        while let Some(entry) =
            self.inner.read_directory_entry(Resource::new_borrow(whole.rep())).await?
        {
            entries.push(entry);
        }
        HostDirectoryEntryStream::drop(&mut self.inner, whole).map_err(FsError::trap)?;
        let stream = self.streams.begin(number, entries).ok_or(ErrorCode::InsufficientMemory)?;
        let stream = self.inner.table.push(stream).map_err(FsError::trap)?;
        // the guest knows the number alone, and the functions below are all that it can pass it to
        Ok(Resource::new_own(stream.rep()))
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.inner.sync(fd).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.inner.stat(fd).await
    }

    fn read_via_stream(&mut self, fd: Fd, at: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.inner.read_via_stream(fd, at)
    }

    fn write_via_stream(&mut self, fd: Fd, at: Filesize) -> FsResult<Resource<DynOutputStream>> {
        self.inner.write_via_stream(fd, at)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.inner.append_via_stream(fd)
    }

    async fn is_same_object(&mut self, fd: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.inner.is_same_object(fd, other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.inner.metadata_hash(fd).await
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.opened.remove(fd.rep());
        self.streams.remove(fd.rep());
        HostDescriptor::drop(&mut self.inner, fd)
    }
}

impl HostDirectoryEntryStream for View<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let stream = Resource::<Stream>::new_borrow(stream.rep());
        let stream = self.inner.table.get_mut(&stream).map_err(FsError::trap)?;
        Ok(self.streams.next(stream))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.inner.table.delete(Resource::<Stream>::new_own(stream.rep()))?;
        Ok(())
    }
}
