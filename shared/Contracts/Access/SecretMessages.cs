using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Cluster.Contracts.V1;

// Messages with a secret: as text, in a log or an exception, they say all else. It is not marked by debug_redact, since Debian's protoc,
// which makes the Python client's messages, does not know that.

public sealed partial class CreateTokenResponse : ICustomDiagnosticMessage
{
    string ICustomDiagnosticMessage.ToDiagnosticString() => SecretMessage.Text(this);
}

public sealed partial class CreateWebhookResponse : ICustomDiagnosticMessage
{
    string ICustomDiagnosticMessage.ToDiagnosticString() => SecretMessage.Text(this);
}

public sealed partial class EnrollNodeResponse : ICustomDiagnosticMessage
{
    string ICustomDiagnosticMessage.ToDiagnosticString() => SecretMessage.Text(this);
}

public sealed partial class LaunchRequest : ICustomDiagnosticMessage
{
    string ICustomDiagnosticMessage.ToDiagnosticString() => SecretMessage.Text(this);
}

public sealed partial class RegisterRequest : ICustomDiagnosticMessage
{
    string ICustomDiagnosticMessage.ToDiagnosticString() => SecretMessage.Text(this);
}

public sealed partial class TrainerLaunch : ICustomDiagnosticMessage
{
    string ICustomDiagnosticMessage.ToDiagnosticString() => SecretMessage.Text(this);
}

internal static class SecretMessage
{
    // Not the one for diagnostics, which would ask the message for its text again.
    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default);

    public static string Text(IMessage message)
    {
        var copy = message.Descriptor.Parser.ParseFrom(message.ToByteArray());
        foreach (var field in message.Descriptor.Fields.InDeclarationOrder().Where(IsSecret))
        {
            if (field.Accessor.GetValue(copy) is string { Length: > 0 })
                field.Accessor.SetValue(copy, "…");
        }

        try
        {
            return Formatter.Format(copy);
        }
        catch (InvalidOperationException e)
        {
            // A stranger's may hold what JSON has no text for, such as a duration of mixed signs. What logs it must not fail by that.
            return $"{message.Descriptor.FullName}, which cannot be written as text: {e.Message}";
        }
    }

    /// <summary>By its name: an enrolment's code, or something's secret.</summary>
    private static bool IsSecret(FieldDescriptor field) => field.Name == "code" || field.Name.EndsWith("secret", StringComparison.Ordinal);
}
