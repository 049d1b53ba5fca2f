using System.Diagnostics;
using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Xml.Linq;

namespace Cluster.Architecture.Tests;

/// <summary>What comes from elsewhere: packages that are locked and known to be sound.</summary>
public sealed class SupplyTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>By a feed of this test's own, which says so of the packages that it serves; with the repository's own properties.</summary>
    [Fact]
    public async Task KnownVulnerablePackage_OfWhateverSeverity_FailsTheRestore()
    {
        using var feed = new Feed();

        var (exitCode, output) = await RestoreAsync(feed, "Holed0", "Holed1", "Holed2", "Holed3");

        exitCode.ShouldNotBe(0);
        foreach (var code in new[] { "NU1901", "NU1902", "NU1903", "NU1904" })
            output.ShouldContain($"error {code}");
        (exitCode, output) = await RestoreAsync(feed, "Sound");
        exitCode.ShouldBe(0, output);
    }

    [Fact]
    public void EachProject_OfTheSolution_HasALockFile()
    {
        var solution = File.ReadAllLines(Repository.PathOf("Cluster.sln"));
        var projects = solution.Select(line => line.Split('"').FirstOrDefault(part => part.EndsWith(".csproj", StringComparison.Ordinal)))
            .OfType<string>().Select(path => Repository.PathOf(path.Replace('\\', '/'))).ToList();

        projects.Count.ShouldBeGreaterThan(15);
        projects.Where(project => !File.Exists(Path.Combine(Path.GetDirectoryName(project)!, "packages.lock.json"))).ShouldBeEmpty();
    }

    private static async Task<(int ExitCode, string Output)> RestoreAsync(Feed feed, params string[] packages)
    {
        var folder = Directory.CreateTempSubdirectory("supply-tests-");
        try
        {
            var references = packages.Select(
                package => new XElement("PackageReference", new XAttribute("Include", package), new XAttribute("Version", "1.0.0")));
            new XElement("Project", new XAttribute("Sdk", "Microsoft.NET.Sdk"), new XElement("ItemGroup", references))
                .Save(Path.Combine(folder.FullName, "Library.csproj"));
            new XElement(
                "Project", new XElement("Import", new XAttribute("Project", Repository.PathOf("Directory.Build.props"))),
                // Not the repository's folder of outputs; and nothing that other feeds have.
                new XElement(
                    "PropertyGroup", new XElement("ArtifactsPath", Path.Combine(folder.FullName, "artifacts")),
                    new XElement("RuntimeIdentifiers")))
                .Save(Path.Combine(folder.FullName, "Directory.Build.props"));
            new XElement("configuration", new XElement(
                "packageSources", new XElement("clear"), new XElement(
                    "add", new XAttribute("key", "test"), new XAttribute("value", feed.Address), new XAttribute("protocolVersion", "3"),
                    new XAttribute("allowInsecureConnections", "true"))))
                .Save(Path.Combine(folder.FullName, "nuget.config"));
            var start = new ProcessStartInfo("dotnet", ["restore", "--force", "-p:RestoreLockedMode=false"])
            {
                WorkingDirectory = folder.FullName,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment =
                {
                    ["NUGET_PACKAGES"] = Path.Combine(folder.FullName, "packages"),
                    ["NUGET_HTTP_CACHE_PATH"] = Path.Combine(folder.FullName, "http-cache"),
                    ["MSBUILDDISABLENODEREUSE"] = "1",
                    ["DOTNET_CLI_UI_LANGUAGE"] = "en",
                    ["NO_PROXY"] = "127.0.0.1",
                    ["no_proxy"] = "127.0.0.1",
                },
            };
            using var restore = Process.Start(start)!;
            var (output, errors) = (restore.StandardOutput.ReadToEndAsync(Cancelled), restore.StandardError.ReadToEndAsync(Cancelled));
            await restore.WaitForExitAsync(Cancelled);
            return (restore.ExitCode, await output + await errors);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>A package feed on loopback, with its list of vulnerabilities: of Holed0 the severity is 0, and so on.</summary>
    private sealed class Feed : IDisposable
    {
        private readonly HttpListener _listener = new();
        private readonly Task _serving;
        private readonly string _root;

        public Feed()
        {
            using (var probe = new TcpListener(IPAddress.Loopback, 0))
            {
                probe.Start();
                _root = $"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/";
            }

            _listener.Prefixes.Add(_root);
            _listener.Start();
            _serving = ServeAsync();
        }

        public string Address => $"{_root}index.json";

        public void Dispose()
        {
            _listener.Close();
            _serving.Wait(TimeSpan.FromSeconds(10));
        }

        private async Task ServeAsync()
        {
            while (true)
            {
                HttpListenerContext context;
                try
                {
                    context = await _listener.GetContextAsync();
                }
                catch (Exception closed) when (closed is HttpListenerException or ObjectDisposedException)
                {
                    return;
                }

                var answer = AnswerTo(context.Request.Url!.AbsolutePath);
                context.Response.StatusCode = answer is null ? 404 : 200;
                await context.Response.OutputStream.WriteAsync(answer ?? []);
                context.Response.Close();
            }
        }

        private byte[]? AnswerTo(string path) => path.Split('/')[1..] switch
        {
            ["index.json"] => Encoding.UTF8.GetBytes($$"""
                {"version": "3.0.0", "resources": [
                    {"@id": "{{_root}}packages/", "@type": "PackageBaseAddress/3.0.0"},
                    {"@id": "{{_root}}vulnerabilities.json", "@type": "VulnerabilityInfo/6.7.0"}]}
                """),
            ["vulnerabilities.json"] => Encoding.UTF8.GetBytes(
                $$"""[{"@name": "all", "@id": "{{_root}}all.json", "@updated": "2026-01-01T00:00:00Z"}]"""),
            ["all.json"] => Encoding.UTF8.GetBytes("{" + string.Join(",", Enumerable.Range(0, 4).Select(severity =>
                $$"""
                "holed{{severity}}": [{"url": "https://example.com/{{severity}}", "severity": {{severity}}, "versions": "[1.0.0]"}]
                """)) + "}"),
            ["packages", var id, "index.json"] when id == "sound" || id.StartsWith("holed", StringComparison.Ordinal) =>
                """{"versions": ["1.0.0"]}"""u8.ToArray(),
            ["packages", var package, _, var file] when file.EndsWith(".nupkg", StringComparison.Ordinal) => Package(package),
            _ => null,
        };

        private static byte[] Package(string id)
        {
            using var stream = new MemoryStream();
            using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
            {
                using var entry = new StreamWriter(archive.CreateEntry($"{id}.nuspec").Open());
                entry.Write($"""
                    <package><metadata>
                      <id>{id}</id><version>1.0.0</version><authors>test</authors><description>test</description>
                    </metadata></package>
                    """);
            }

            return stream.ToArray();
        }
    }
}
