using System.Net;

namespace Cluster.EndToEnd.Tests;

/// <summary>A cluster of its own: it ends with other secrets than it began with.</summary>
public sealed class RotatedCluster : IAsyncLifetime
{
    public LocalCluster Cluster { get; } = new() { IsTls = true };

    public ValueTask InitializeAsync() => Cluster.InitializeAsync();

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}

/// <summary>What docs/security.md says of how to exchange each secret, followed on a cluster that runs.</summary>
public sealed class SecretRotationTests(RotatedCluster rotated) : IClassFixture<RotatedCluster>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly LocalCluster _cluster = rotated.Cluster;
    private readonly List<string> _secrets = [];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private string Certificates => Path.Combine(_cluster.State, "certs");

    /// <summary>The document's table, word for word, with what is done for each of its rows.</summary>
    private (string Secret, string How, Func<Task> FollowAsync)[] Steps =>
    [
        ("a person's token", "make another one, change to it, `token revoke` the old one", PersonsTokenAsync),
        ("the administrator's",
            "put the new one on a second line of `Access:AdminTokenFile`; when everybody has changed, take the first line out",
            AdministratorsTokenAsync),
        ("the nodes' shared one",
            "put the new one on a second line of `Access:NodeTokenFile` and of the agents' files, restart the agents, take the first "
                + "lines out",
            NodesTokenAsync),
        ("a node's own", "`node enroll` with its name, delete `node-token` in its state folder, restart the agent with the new code",
            NodesOwnTokenAsync),
        ("an attempt's, an agent's", "nothing to do: each attempt and each start of an agent has its own", () => Task.CompletedTask),
        ("a webhook's", "`webhook delete` and `webhook create` with its name; tell the receiver the new one", WebhooksSecretAsync),
        ("a certificate", "`certs renew`, and copy the files: [transport](security-transport.md#renewal)", CertificateAsync),
        ("the authority's key",
            "new certificates of a new authority, beside the old one for a while: [transport](security-transport.md#renewal)",
            AuthorityAsync),
        ("the dashboard's sessions", "delete `Dashboard:KeyFolder` and restart it: everybody signs in again", SessionsAsync),
        // Of a provider there is none here; that the dashboard reads it at its start, its own tests show.
        ("the identity provider's for the dashboard",
            "put the new one into `IdentityProvider:ClientSecretFile` and restart the dashboard", () => Task.CompletedTask),
        ("the database's password",
            "`alter role`, then restart the schedulers with the new `Persistence:ConnectionString`; connections that are open go on "
                + "meanwhile",
            DatabasePasswordAsync),
    ];

    [Fact]
    [Trait("Round", "full")]
    public async Task EachSecret_IsExchangedAsTheDocumentSays()
    {
        var table = File.ReadLines(Path.Combine(Shell.Root, "docs", "security.md"))
            .SkipWhile(line => line != "| secret | how |").Skip(2).TakeWhile(line => line.StartsWith('|'))
            .Select(line => line.Trim('|').Split('|', 2, StringSplitOptions.TrimEntries)).Select(row => (row[0], row[1]));
        table.ShouldBe(Steps.Select(step => (step.Secret, step.How)));

        foreach (var (secret, _, followAsync) in Steps)
        {
            TestContext.Current.SendDiagnosticMessage("{0}", secret);
            await followAsync();
            await WorksAsync();
        }

        // With all that is new, from the start of a job to its end, also what its ranks tell each other.
        var file = Path.Combine(_cluster.State, "after.yaml");
        await File.WriteAllTextAsync(file, JobFiles.LeNet("after"), Cancelled);
        (await RunAsync("job", "submit", file, "-f")).MustSucceed();

        await NobodyElseReadsAsync();
    }

    /// <summary>Of all secrets that were in use: none in a log, on a command line or in the audit, and files are their owner's.</summary>
    private async Task NobodyElseReadsAsync()
    {
        const UnixFileMode others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
        const UnixFileMode entering = UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        var backup = Path.Combine(_cluster.State, "backup");
        (await RunAsync("backup", backup)).MustSucceed();
        string[] files =
        [
            backup, Path.Combine(_cluster.State, "token"), Path.Combine(_cluster.State, "node-token"),
            Path.Combine(_cluster.State, "worker-2", "node-token"), .. Directory.GetFiles(Certificates, "*.key"),
        ];
        files.Length.ShouldBeGreaterThan(6);
        files.Where(file => (new FileInfo(file).UnixFileMode & others) != UnixFileMode.None).ShouldBeEmpty();
        (new DirectoryInfo(Path.Combine(_cluster.State, "dashboard-keys")).UnixFileMode & (others | entering)).ShouldBe(UnixFileMode.None);

        string[] services = ["dashboard", "scheduler", "worker-1", "worker-2"];
        var said = services.Select(service => Processes.CommandLine(_cluster.ProcessId(service))).ToList();
        said.Add((await RunAsync("audit", "list", "--json")).MustSucceed().Output);
        foreach (var log in Directory.EnumerateFiles(Path.Combine(_cluster.State, "logs")))
            said.Add(await File.ReadAllTextAsync(log, Cancelled));
        _secrets.Count.ShouldBeGreaterThan(10);
        foreach (var secret in _secrets)
            said.ShouldNotContain(text => text.Contains(secret, StringComparison.Ordinal));
    }

    private async Task PersonsTokenAsync()
    {
        var (old, id) = (await MakeAsync("old"), await IdOfAsync("old"));
        var other = await MakeAsync("new");
        (await RunAsync("node", "list", "--token", old)).MustSucceed();

        (await RunAsync("token", "revoke", id)).MustSucceed();

        await RefusedAsync(old, "is revoked");
        (await RunAsync("node", "list", "--token", other)).MustSucceed();

        async Task<string> MakeAsync(string name) =>
            Kept((await RunAsync("token", "create", name, "--owner", "carla", "--scope", "viewer")).MustSucceed().Output.Trim());

        async Task<string> IdOfAsync(string name) => (await RunAsync("token", "list")).MustSucceed().Output.Split('\n')
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Single(row => row.Length > 1 && row[1] == name)[0];
    }

    private async Task AdministratorsTokenAsync()
    {
        var file = Path.Combine(_cluster.State, "token");
        var (old, other) = (Kept(_cluster.Token), Kept("another-token-of-the-administrator"));

        await File.WriteAllTextAsync(file, $"{old}\n{other}\n", Cancelled);

        await AcceptedAsync(other);
        (await RunAsync("node", "list", "--token", old)).MustSucceed();
        (await RunAsync("token", "list")).MustSucceed(); // the command line has changed by itself

        await File.WriteAllTextAsync(file, $"{other}\n", Cancelled);

        await RefusedAsync(old, "not known here");
    }

    private async Task NodesTokenAsync()
    {
        // On one machine the scheduler's file and the agents' are one.
        var file = Path.Combine(_cluster.State, "node-token");
        var (old, other) = (Kept((await File.ReadAllTextAsync(file, Cancelled)).Trim()), Kept("another-token-of-all-the-nodes"));

        await File.WriteAllTextAsync(file, $"{old}\n{other}\n", Cancelled);
        // It is known, and of a scope that does not list nodes.
        await RefusedAsync(other, "the token has node");
        await RestartAsync("worker-1", "worker-2");

        await File.WriteAllTextAsync(file, $"{other}\n", Cancelled);

        await RefusedAsync(old, "not known here");
    }

    private async Task NodesOwnTokenAsync()
    {
        var (code, own) = (Path.Combine(_cluster.State, "code"), Path.Combine(_cluster.State, "worker-2", "node-token"));
        _cluster.Configure("worker-2", "Agent__NodeTokenFile=", $"Agent__EnrollmentCodeFile={code}");
        await EnrollAsync();
        var old = Kept((await File.ReadAllTextAsync(own, Cancelled)).Trim());
        await RefusedAsync(old, "the token has node");

        File.Delete(own);
        await EnrollAsync();

        (await File.ReadAllTextAsync(own, Cancelled)).Trim().ShouldNotBe(old);
        (await RunAsync("node", "list", "--token", old)).ExitCode.ShouldBe(4);
        (await RunAsync("node", "list", "--token", old)).Error.ShouldNotContain("the token has node");

        async Task EnrollAsync()
        {
            var made = Kept((await RunAsync("node", "enroll", "worker-2")).MustSucceed().Output.Trim());
            await File.WriteAllTextAsync(code, made, Cancelled);
            await RestartAsync("worker-2");
            await HoldsAsync(() => Task.FromResult(File.Exists(own)), "the node is enrolled");
        }
    }

    private async Task WebhooksSecretAsync()
    {
        var old = await CreateAsync();

        (await RunAsync("webhook", "delete", "chat")).MustSucceed();

        (await CreateAsync()).ShouldNotBe(old);

        async Task<string> CreateAsync() =>
            Kept((await RunAsync("webhook", "create", "chat", "https://chat.example/hook")).MustSucceed().Output.Trim().Split('\n')[^1]);
    }

    private async Task CertificateAsync()
    {
        var before = await TlsTests.SerialAsync(_cluster.GrpcPort(1));

        (await RunAsync("certs", "renew", "--within", "100")).MustSucceed();

        (await TlsTests.SerialAsync(_cluster.GrpcPort(1))).ShouldNotBe(before);
    }

    private async Task AuthorityAsync()
    {
        var (old, made) = (Path.Combine(_cluster.State, "certs.old"), Path.Combine(_cluster.State, "certs.new"));
        Directory.CreateDirectory(old);
        File.Copy(Path.Combine(Certificates, "authority.crt"), Path.Combine(old, "authority.crt"));
        foreach (var (unit, name) in new[]
        {
            ("scheduler", "scheduler"), ("node", "worker-1"), ("node", "worker-2"), ("server", "dashboard"),
        })
            (await RunAsync("certs", unit, name, "--host", "127.0.0.1", "localhost", "--folder", made)).MustSucceed();

        await File.WriteAllTextAsync(
            Path.Combine(Certificates, "authority.crt"),
            await File.ReadAllTextAsync(Path.Combine(old, "authority.crt"), Cancelled)
                + await File.ReadAllTextAsync(Path.Combine(made, "authority.crt"), Cancelled),
            Cancelled);
        await WorksAsync();
        foreach (var file in Directory.EnumerateFiles(made).Select(file => Path.GetFileName(file))
            .Where(file => !file.StartsWith("authority", StringComparison.Ordinal)))
            File.Copy(Path.Combine(made, file), Path.Combine(Certificates, file), overwrite: true);
        await WorksAsync();
        File.Copy(Path.Combine(made, "authority.crt"), Path.Combine(Certificates, "authority.crt"), overwrite: true);
        File.Copy(Path.Combine(made, "authority.key"), Path.Combine(Certificates, "authority.key"), overwrite: true);
        await WorksAsync();

        var distrustful = await RunAsync("node", "list", "--ca-file", Path.Combine(old, "authority.crt"));
        distrustful.ExitCode.ShouldBe(3);
        distrustful.Error.ShouldContain("is not trusted");
        await RestartAsync("worker-1");
    }

    private async Task SessionsAsync()
    {
        using var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true },
        };
        using var browser = new HttpClient(handler)
        {
            BaseAddress = new UriBuilder(_cluster.HttpAddress) { Scheme = Uri.UriSchemeHttps }.Uri,
        };
        using var form = new FormUrlEncodedContent(new Dictionary<string, string> { ["token"] = _cluster.Token });
        (await browser.PostAsync("/sign-in", form, Cancelled)).Headers.Location!.ToString().ShouldBe("/");
        (await browser.GetAsync("/jobs", Cancelled)).StatusCode.ShouldBe(HttpStatusCode.OK);

        Directory.Delete(Path.Combine(_cluster.State, "dashboard-keys"), recursive: true);
        await RestartAsync("dashboard");

        using var answer = await browser.GetAsync("/jobs", Cancelled);
        (answer.StatusCode, answer.Headers.Location!.AbsolutePath).ShouldBe((HttpStatusCode.Redirect, "/sign-in"));
    }

    private async Task DatabasePasswordAsync()
    {
        // ./cluster's own database knows its users by the operating system.
        await _cluster.PostgresAsync(
            "as_postgres sed -i '1i local all cluster scram-sha-256' \"$pg_home/data/pg_hba.conf\"; "
                + "pg_admin -qc \"alter role cluster password 'the-first-password'\"; pg_admin -qtc 'select pg_reload_conf()'",
            Cancelled);
        await ConnectWithAsync("the-first-password");

        await _cluster.PostgresAsync("pg_admin -qc \"alter role cluster password 'the-second-password'\"", Cancelled);
        await WorksAsync();
        await ConnectWithAsync("the-second-password");

        var refused = await _cluster.PostgresAsync(
            "PGPASSWORD=the-first-password \"$pg_bin/psql\" -h \"$pg_socket\" -U cluster -d cluster -c 'select 1' 2>&1 || true", Cancelled);
        refused.Output.ShouldContain("password authentication failed");

        async Task ConnectWithAsync(string password)
        {
            var socket = (await _cluster.PostgresAsync("printf %s \"$pg_socket\"", Cancelled)).Output;
            Kept(password);
            _cluster.Configure(
                "scheduler", $"Persistence__ConnectionString=Host={socket};Username=cluster;Password={password};Database=cluster");
            await RestartAsync("scheduler");
        }
    }

    private string Kept(string secret)
    {
        _secrets.Add(secret);
        return secret;
    }

    private Task<Outcome> RunAsync(params string[] arguments) => _cluster.RunAsync(arguments, Cancelled);

    /// <summary>Ends services as a supervisor would find them, and starts them with what their files say now.</summary>
    private async Task RestartAsync(params string[] services)
    {
        foreach (var service in services)
            await Processes.KillAsync(_cluster.ProcessId(service), Cancelled);
        await _cluster.UpAsync(Cancelled);
    }

    /// <summary>Both nodes are there, and say so on connections that are made now.</summary>
    private Task WorksAsync() => HoldsAsync(
        async () => await RunAsync("node", "list", "--json") is { ExitCode: 0 } listed
            && listed.Output.Split("NODE_STATE_READY").Length == 3,
        "both nodes are ready");

    private Task AcceptedAsync(string token) =>
        HoldsAsync(async () => (await RunAsync("node", "list", "--token", token)).ExitCode == 0, "the new token is known");

    private Task RefusedAsync(string token, string reason) => HoldsAsync(
        async () => await RunAsync("node", "list", "--token", token) is { ExitCode: 4 } refused
            && refused.Error.Contains(reason, StringComparison.Ordinal),
        $"the token is refused: {reason}");

    private static async Task HoldsAsync(Func<Task<bool>> holds, string what)
    {
        var end = DateTimeOffset.UtcNow + Patience;
        while (!await holds())
        {
            if (DateTimeOffset.UtcNow > end)
                throw new TimeoutException($"waited {Patience.TotalSeconds} s in vain until {what}");
            await Task.Delay(200, Cancelled);
        }
    }
}
