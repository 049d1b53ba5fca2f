using System.Security.Cryptography.X509Certificates;
using Cluster.Contracts.Tls;

namespace Cluster.Cli.Tests.Certificates;

public sealed class CertificateVerbsTests : IDisposable
{
    private const UnixFileMode OwnersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _folder = Path.Combine(Directory.CreateTempSubdirectory("certs-").FullName, "certs");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_folder)!, recursive: true);

    [Theory]
    [InlineData("scheduler")]
    [InlineData("node")]
    [InlineData("server")]
    public async Task Issue_MakesWhatTheAuthorityVouchesFor_ForTheHostsGiven(string unit)
    {
        var run = await RunAsync("certs", unit, "gpu-7", "--host", "gpu-7.example", "10.0.0.7");

        run.Out.ShouldStartWith($"{_folder}/gpu-7.crt, {_folder}/gpu-7.key: {unit} gpu-7, until ");
        using var made = X509Certificate2.CreateFromPemFile(PathOf("gpu-7.crt"), PathOf("gpu-7.key"));
        CertificateUnit.Of(made).ShouldBe(unit);
        (made.MatchesHostname("gpu-7.example"), made.MatchesHostname("10.0.0.7")).ShouldBe((true, true));
        made.MatchesHostname("gpu-7").ShouldBeFalse();
        IsVouchedFor(made).ShouldBeTrue();
        foreach (var key in new[] { "gpu-7.key", "authority.key" })
            File.GetUnixFileMode(PathOf(key)).ShouldBe(OwnersOnly);
        Directory.GetFiles(_folder).Length.ShouldBe(4);
    }

    [Fact]
    public async Task Issue_OfASecondOne_GoesByTheSameAuthority()
    {
        await RunAsync("certs", "node", "one");
        var authority = await File.ReadAllTextAsync(PathOf("authority.crt"), Cancellation);

        await RunAsync("certs", "node", "two");

        (await File.ReadAllTextAsync(PathOf("authority.crt"), Cancellation)).ShouldBe(authority);
        using var two = X509CertificateLoader.LoadCertificateFromFile(PathOf("two.crt"));
        IsVouchedFor(two).ShouldBeTrue();
        (await RunAsync("certs", "list")).Out.Split('\n')[1].ShouldStartWith("one   node");
    }

    [Fact]
    public async Task Renew_MakesThoseAnewThatEndSoon_WithAKeyOfTheirOwn_AndLeavesTheOthers()
    {
        await RunAsync("certs", "node", "old", "--host", "10.0.0.7", "--days", "20");
        await RunAsync("certs", "node", "young", "--days", "90");
        var before = Files();

        var run = await RunAsync("certs", "renew");

        run.Out.ShouldStartWith("old: until ");
        run.Out.Split('\n').Length.ShouldBe(2);
        var changed = Files().Where(file => before[file.Key] != file.Value).Select(file => file.Key).Order();
        changed.ShouldBe(["old.crt", "old.key"]);
        using var renewed = X509Certificate2.CreateFromPemFile(PathOf("old.crt"), PathOf("old.key"));
        (CertificateUnit.Of(renewed), renewed.MatchesHostname("10.0.0.7"), IsVouchedFor(renewed)).ShouldBe(("node", true, true));
        renewed.NotAfter.ShouldBeGreaterThan(DateTime.Now.AddDays(80));
    }

    [Fact]
    public async Task Renew_OfTheAuthority_LeavesWhatItHasSignedGood()
    {
        await RunAsync("certs", "node", "one");
        var before = await File.ReadAllTextAsync(PathOf("authority.crt"), Cancellation);

        var run = await RunAsync("certs", "renew", "--within", "3650");

        run.Out.ShouldStartWith("authority: until ");
        (await File.ReadAllTextAsync(PathOf("authority.crt"), Cancellation)).ShouldNotBe(before);
        using var one = X509CertificateLoader.LoadCertificateFromFile(PathOf("one.crt"));
        IsVouchedFor(one).ShouldBeTrue();
    }

    [Theory]
    [InlineData("NAME is ../x but must be of letters, digits, '-', '_' and '.', 64 at most; 'authority' is taken", "../x")]
    [InlineData("NAME is authority but must be of letters, digits, '-', '_' and '.', 64 at most; 'authority' is taken", "authority")]
    [InlineData("--host is a b but must be a host name or an IP address, without a port", "x", "--host", "a b")]
    [InlineData("--days is 0 but must be a number of days from 1; see ./cluster certs node --help", "x", "--days", "0")]
    public async Task WrongUsage_IsOneLine_AndMakesNothing(string line, params string[] arguments)
    {
        var run = new CliRun();

        (await run.RunAsync(Cancellation, ["certs", "node", .. arguments, "--folder", _folder])).ShouldBe(ExitCode.Usage);

        run.Error.ShouldBe(line + "\n");
        Directory.Exists(_folder).ShouldBeFalse();
    }

    [Fact]
    public async Task Issue_OfOneThatIsThere_IsRefused()
    {
        await RunAsync("certs", "node", "one");
        var before = Files();
        var run = new CliRun();

        (await run.RunAsync(Cancellation, "certs", "node", "one", "--folder", _folder)).ShouldBe(ExitCode.Refused);

        run.Error.ShouldBe($"{_folder}/one.crt is there already; ./cluster certs renew renews it, or delete it\n");
        Files().ShouldBe(before);
    }

    [Fact]
    public async Task Scheduler_WithACertificateMadeHere_IsTrustedByItsAuthorityFile_AndByNothingElse()
    {
        await using var cluster = await StartTlsAsync();
        var (trusting, told, system) = (new CliRun(cluster), new CliRun(cluster), new CliRun(cluster));

        (await trusting.RunAsync(Cancellation, "node", "list", "--ca-file", PathOf("authority.crt"))).ShouldBe(ExitCode.Done);
        (await told.With("CLUSTER_CA_FILE", PathOf("authority.crt")).RunAsync(Cancellation, "node", "list")).ShouldBe(ExitCode.Done);

        (await system.RunAsync(Cancellation, "node", "list")).ShouldBe(ExitCode.Unreachable);
        system.Error.ShouldStartWith($"the scheduler at {cluster.Address} is not trusted (");
        system.Error.ShouldContain("--ca-file or CLUSTER_CA_FILE names the authority of its certificate");
    }

    [Fact]
    public async Task AuthorityFile_WithoutACertificate_IsRefusedByItsName()
    {
        await File.WriteAllTextAsync(PathOf("../empty"), "", Cancellation);
        var run = new CliRun();

        (await run.RunAsync(Cancellation, "node", "list", "--ca-file", PathOf("../empty"))).ShouldBe(ExitCode.Usage);

        run.Error.ShouldContain("holds no certificate; name the authority's PEM file");
    }

    [Fact]
    public async Task PlainText_ToAPortOfTls_IsExplained()
    {
        await using var cluster = await StartTlsAsync();
        var server = cluster.Address.Replace("https:", "http:", StringComparison.Ordinal);
        var run = new CliRun();

        (await run.RunAsync(Cancellation, "node", "list", "--server", server)).ShouldBe(ExitCode.Unreachable);

        run.Error.ShouldBe($"the scheduler at {server} speaks TLS; write https:// in --server or CLUSTER_SERVER\n");
    }

    private async Task<FakeCluster> StartTlsAsync()
    {
        await RunAsync("certs", "scheduler", "here", "--host", "127.0.0.1");
        return await FakeCluster.StartAsync(new TlsOptions { CertificateFile = PathOf("here.crt"), KeyFile = PathOf("here.key") });
    }

    private string PathOf(string file) => Path.Combine(_folder, file);

    private Dictionary<string, string> Files() =>
        Directory.GetFiles(_folder).ToDictionary(file => Path.GetFileName(file)!, File.ReadAllText);

    private async Task<CliRun> RunAsync(params string[] arguments)
    {
        var run = new CliRun { Time = TimeProvider.System };
        (await run.RunAsync(Cancellation, [.. arguments, "--folder", _folder])).ShouldBe(ExitCode.Done, run.Error);
        return run;
    }

    private bool IsVouchedFor(X509Certificate2 certificate)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.ImportFromPemFile(PathOf("authority.crt"));
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(certificate);
    }
}
