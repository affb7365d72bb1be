//! A folder of mails instead of a server, for development: `<data-dir>/mail/*.eml`.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
};

use anyhow::Context;
use async_trait::async_trait;
use lettre::message::Mailbox;
use mail_parser::MessageParser;

use crate::application::{
    mail::Letter,
    ports::{KeptMail, Mailbox as KeptMails, Mailer, MailerFault},
};

/// The most mails that are shown.
const SHOWN: usize = 100;

/// Writes mails to a folder and reads them back.
pub struct MailFolder {
    folder: PathBuf,
    from: Mailbox,
}

impl MailFolder {
    /// In `folder`, which is made with the first mail.
    pub fn new(folder: PathBuf, from: &str) -> anyhow::Result<Self> {
        Ok(Self { folder, from: from.parse().context("DASHTAM_SMTP__FROM is not like Dashtam <dashtam@example.com>")? })
    }

    /// A mail that is tried again replaces itself. It holds a token, so nobody else on the machine may read it.
    fn write(&self, letter: &Letter) -> anyhow::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let (target, draft) = (self.folder.join(format!("{}.eml", letter.id.0)), self.folder.join(format!("{}.part", letter.id.0)));
        let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&super::message(letter, &self.from)?.formatted())?;
        std::fs::rename(draft, target)?;
        Ok(())
    }
}

#[async_trait]
impl Mailer for MailFolder {
    async fn send(&self, letter: &Letter) -> Result<(), MailerFault> {
        self.write(letter)?;
        tracing::info!("a mail was written; GET /dev/mail shows it");
        Ok(())
    }
}

impl KeptMails for MailFolder {
    fn latest(&self) -> anyhow::Result<Vec<KeptMail>> {
        if !self.folder.is_dir() {
            return Ok(Vec::new());
        }
        let files = std::fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        // Names are ids, and ids sort by age.
        let mut files: Vec<_> = files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "eml")).collect();
        files.sort_unstable_by(|left, right| right.cmp(left));
        files.iter().take(SHOWN).map(|file| read(&std::fs::read(file)?)).collect()
    }
}

fn read(bytes: &[u8]) -> anyhow::Result<KeptMail> {
    let mail = MessageParser::default().parse(bytes).context("a kept mail does not read")?;
    let to = mail.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or_default();
    Ok(KeptMail {
        to: to.to_owned(),
        subject: mail.subject().unwrap_or_default().to_owned(),
        sent_at: mail.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
        text: mail.body_text(0).unwrap_or_default().replace("\r\n", "\n"),
        html: mail.body_html(0).unwrap_or_default().into_owned(),
    })
}
