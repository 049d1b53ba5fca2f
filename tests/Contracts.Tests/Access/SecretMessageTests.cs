using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace Cluster.Contracts.Tests.Access;

/// <summary>Messages that carry a secret, by the names of their fields.</summary>
public sealed class SecretMessageTests
{
    private const string Secret = "planted-5ec4e7";

    private static readonly string[] SecretNames = ["secret", "code", "token", "password", "credential"];

    // Where a list goes on, the name of a token, and one of a fixed set of words.
    private static readonly string[] NoSecrets = ["page_token", "next_page_token", "cluster.v1.AuditEntry.token", "reason_code"];

    [Fact]
    public void Text_OfAMessage_HasAllButItsSecret()
    {
        var secrets = All().Where(IsSecret).ToList();
        secrets.Count.ShouldBeGreaterThan(5);
        foreach (var field in secrets)
        {
            var message = (IMessage)Activator.CreateInstance(field.ContainingType.ClrType)!;
            field.Accessor.SetValue(message, Secret);

            message.ToString().ShouldBe($$"""{ "{{field.JsonName}}": "…" }""");
            field.Accessor.GetValue(message).ShouldBe(Secret);
        }

        $"{new LaunchRequest { JobId = "a-job", AttemptSecret = Secret }}".ShouldBe("""{ "jobId": "a-job", "attemptSecret": "…" }""");
        $"{new LaunchRequest { JobId = "a-job" }}".ShouldBe("""{ "jobId": "a-job" }""");
    }

    [Fact]
    public void Text_OfWhatJsonCannotSay_SaysSo()
    {
        var spec = new JobSpec { MaxRuntime = new Duration { Seconds = 1, Nanos = -1 } };

        $"{new LaunchRequest { Spec = spec, AttemptSecret = Secret }}"
            .ShouldBe("cluster.v1.LaunchRequest, which cannot be written as text: Non-normalized duration value");
    }

    private static IEnumerable<FieldDescriptor> All() => RequiredScope.Services().Select(service => service.File).Distinct()
        .SelectMany(file => file.MessageTypes).SelectMany(message => message.Fields.InDeclarationOrder())
        .Where(field => field is { FieldType: FieldType.String, IsRepeated: false });

    private static bool IsSecret(FieldDescriptor field) =>
        SecretNames.Any(name => field.Name == name || field.Name.EndsWith("_" + name, StringComparison.Ordinal))
        && !NoSecrets.Contains(field.Name) && !NoSecrets.Contains(field.FullName);
}
