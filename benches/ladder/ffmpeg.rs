//! Runs the ffmpeg command line.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A call that is being put together.
pub struct Ffmpeg(Command);

/// A call that asks nothing and overwrites.
pub fn command() -> Ffmpeg {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-nostats", "-y"]);
    Ffmpeg(command)
}

impl Ffmpeg {
    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Runs it to its end; what it wrote to standard error.
    pub fn finish(mut self) -> String {
        self.0.stdin(Stdio::null()).stdout(Stdio::null());
        let output = self
            .0
            .output()
            .expect("run ffmpeg; `./setup.sh test` installs it");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{:?}: {said}", self.0);
        said
    }
}
