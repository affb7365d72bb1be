//! The audit trail's words: what was attempted, and how it ended.

use super::transaction::words;

words! {
    /// Everything that can be attempted. Each is on the trail as ATTEMPTED and exactly one outcome.
    Act {
        /// A user made on the command line.
        CreateUser = "create_user",
        /// A user given another role.
        AssignRole = "assign_role",
        /// A user given another tier, or a limit of their own.
        AssignTier = "assign_tier",
        /// A user kept out.
        DeactivateUser = "deactivate_user",
        /// A user let in again.
        ReactivateUser = "reactivate_user",
        /// Ending a pause of somebody's sign-in.
        UnlockUser = "unlock_user",
        /// Making issued tokens worthless in an emergency.
        RotateTokens = "rotate_tokens",
        /// Making new keys.
        RotateKeys = "rotate_keys",
        /// Sealing under the current key what older ones sealed.
        ResealSecrets = "reseal_secrets",
        /// Signing up.
        RegisterUser = "register_user",
        /// Confirming an address.
        VerifyEmail = "verify_email",
        /// Asking for the mail that confirms an address once more.
        ResendVerification = "resend_verification",
        /// Signing in.
        CreateSession = "create_session",
        /// Exchanging a refresh token.
        RefreshSession = "refresh_session",
        /// Ending a session.
        RevokeSession = "revoke_session",
        /// Ending every session, or every other one.
        RevokeSessions = "revoke_sessions",
        /// Giving a session a name.
        RenameSession = "rename_session",
        /// Changing one's password.
        ChangePassword = "change_password",
        /// Proving once more who one is.
        Reauthenticate = "reauthenticate",
        /// Asking for the mail that resets a password.
        RequestPasswordReset = "request_password_reset",
        /// Resetting a password.
        ResetPassword = "reset_password",
        /// Answering a challenge with a code.
        VerifySecondFactor = "verify_second_factor",
        /// Making a secret for a second factor.
        BeginSecondFactor = "begin_second_factor",
        /// Confirming a second factor by its first code.
        ConfirmSecondFactor = "confirm_second_factor",
        /// Taking one's second factor away.
        DisableSecondFactor = "disable_second_factor",
        /// Taking somebody's second factor away on the command line.
        ResetSecondFactor = "reset_second_factor",
        /// Replacing one's recovery codes.
        RegenerateRecoveryCodes = "regenerate_recovery_codes",
        /// Starting to link a provider.
        BeginLink = "begin_link",
        /// Leaving our start page for the bank.
        StartAuthorization = "start_authorization",
        /// Coming back from the bank.
        CompleteLink = "complete_link",
        /// Asking for a sync.
        RequestSync = "request_sync",
        /// A worker bringing a link up to date.
        SyncLink = "sync_link",
        /// Taking in a statement file.
        ImportStatement = "import_statement",
    }
}

words! {
    /// How far an attempt has come.
    Outcome {
        /// Begun; written before anything else happens.
        Attempted = "attempted",
        /// Done; written with the change.
        Succeeded = "succeeded",
        /// Refused, broken or interrupted.
        Failed = "failed",
    }
}

words! {
    /// The kind of thing an act was upon.
    ResourceKind {
        /// A user.
        User = "user",
        /// A session.
        Session = "session",
        /// What holds for everyone's tokens.
        Security = "security",
        /// A link.
        Link = "link",
        /// A sync.
        Sync = "sync",
        /// An import.
        Import = "import",
    }
}
