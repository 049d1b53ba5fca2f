using Cluster.Contracts.Access;

namespace Cluster.Contracts.Tests.Access;

public sealed class AccessSecretTests
{
    [Theory]
    [InlineData(AccessSecret.Token)]
    [InlineData(AccessSecret.Node)]
    [InlineData(AccessSecret.Enrollment)]
    public void Secret_IsWellFormed_AndOfItsKindOnly_AndNotOnceACharacterIsAnother(string kind)
    {
        var secret = AccessSecret.Make(kind);

        AccessSecret.IsWellFormed(kind, secret).ShouldBeTrue();
        AccessSecret.Make(kind).ShouldNotBe(secret);
        foreach (var other in new[] { AccessSecret.Token, AccessSecret.Node, AccessSecret.Enrollment }.Where(other => other != kind))
        {
            AccessSecret.IsWellFormed(other, secret).ShouldBeFalse();
            AccessSecret.IsWellFormed(other, other + secret[kind.Length..]).ShouldBeFalse();
        }

        for (var i = kind.Length; i < secret.Length; i++)
            AccessSecret.IsWellFormed(kind, secret[..i] + (secret[i] == 'A' ? 'B' : 'A') + secret[(i + 1)..]).ShouldBeFalse();
        AccessSecret.IsWellFormed(kind, secret + "A").ShouldBeFalse();
        AccessSecret.IsWellFormed(kind, secret[..^1]).ShouldBeFalse();
    }

    [Fact]
    public void Redact_LeavesNoSecretInText()
    {
        var (token, code) = (AccessSecret.Make(AccessSecret.Token), AccessSecret.Make(AccessSecret.Enrollment));

        AccessSecret.Redact($"job '{token}', then {code}.").ShouldBe("job 'clt_…', then cle_….");
        AccessSecret.Redact($"attempt {new string('a', 64)}, job {new string('a', 32)}").ShouldBe($"attempt …, job {new string('a', 32)}");
        AccessSecret.Redact("signed with whsec_0123456789abcdef").ShouldBe("signed with whsec_…");
        AccessSecret.Redact("clt_short and nothing else").ShouldBe("clt_short and nothing else");
    }
}
