//! A command that is held between fork and exec until sampling has started.

use super::error::Error;
use super::session::Session;
use super::sys;
use std::ffi::OsString;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command};
use std::thread::JoinHandle;

/// A forked child that waits to be let go. Dropping it ends the child without running the command.
#[derive(Debug)]
pub struct Launched {
    pid: u32,
    program: OsString,
    gate: Option<PipeWriter>,
    /// `Command::spawn` only returns when the child has reached exec or failed to: it waits in a thread of its own.
    spawner: Option<JoinHandle<io::Result<Child>>>,
}

impl Launched {
    /// Forks; the child has its arguments, files and folder as `command` says, no signal handler or mask and no
    /// descriptor of ours, and has not run anything of the command.
    pub fn spawn(mut command: Command) -> Result<Launched, Error> {
        let system = |source| Error::System { call: "pipe (to hold the command)", source };
        let program = command.get_program().to_owned();
        let (mut ready_reader, ready_writer) = io::pipe().map_err(system)?;
        let (gate_reader, gate) = io::pipe().map_err(system)?;
        sys::hold_before_exec(&mut command, ready_writer.as_raw_fd(), gate_reader.as_raw_fd(), gate.as_raw_fd());
        let spawner = std::thread::Builder::new()
            .name("spawn".to_owned())
            .spawn(move || {
                let result = command.spawn();
                // Both ends live until here, in the child's copy they are closed by exec.
                drop((ready_writer, gate_reader));
                result
            })
            .map_err(|source| Error::System { call: "clone (a thread to start the command)", source })?;
        let mut launched = Launched { pid: 0, program, gate: Some(gate), spawner: Some(spawner) };
        let mut pid = [0; 4];
        match ready_reader.read_exact(&mut pid) {
            Ok(()) => launched.pid = u32::from_ne_bytes(pid),
            // The child never came that far: `spawn` knows why.
            Err(_) => {
                launched.gate = None;
                launched.join()?;
            }
        }
        Ok(launched)
    }

    /// The child's process id: the target to sample is [`super::Target::Command`] of it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the command run, and returns once it has reached its exec.
    pub fn start(mut self, session: &mut Session) -> Result<Child, Error> {
        let child = self.start_unsampled()?;
        session.exec_done();
        Ok(child)
    }

    fn start_unsampled(&mut self) -> Result<Child, Error> {
        if let Some(mut gate) = self.gate.take() {
            gate.write_all(&[1]).map_err(|source| Error::System { call: "write (to let the command run)", source })?;
        }
        self.join()
    }

    fn join(&mut self) -> Result<Child, Error> {
        let result = match self.spawner.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::Error::other("the thread that starts the command is gone")),
        };
        result.map_err(|source| Error::Exec { program: self.program.clone(), source })
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        // The child sees the gate's end and exits; `spawn` reaps it.
        self.gate = None;
        if let Some(spawner) = self.spawner.take() {
            let _ = spawner.join();
        }
    }
}
