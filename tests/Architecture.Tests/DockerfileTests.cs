using System.Diagnostics;
using System.Text.RegularExpressions;
using System.Xml.XPath;

namespace Cluster.Architecture.Tests;

/// <summary>deploy/docker, as far as it can be told without Docker: no image is built or pulled here.</summary>
public sealed partial class DockerfileTests
{
    public static TheoryData<string> Programs => ["Scheduler", "Worker", "Dashboard"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void EveryProgram_HasAnImage_AndEveryImageAProgram() =>
        Directory.EnumerateFiles(Repository.PathOf("deploy/docker"), "*.Dockerfile").Select(Path.GetFileNameWithoutExtension)
            .ShouldBe(Programs.Select(program => program.Data.ToLowerInvariant()), ignoreOrder: true);

    [Theory]
    [MemberData(nameof(Programs))]
    public void EveryBase_IsAStageOrAnExactVersion(string program)
    {
        var stages = Instructions(program, "FROM").Select(from => Base().Match(from)).ToList();

        stages.ShouldAllBe(stage => stage.Success);
        var names = stages.Select(stage => stage.Groups["name"].Value).ToList();
        var copied = Instructions(program, "COPY").Select(copy => From().Match(copy)).Where(from => from.Success)
            .Select(from => from.Groups["base"].Value);
        stages.Select(stage => stage.Groups["base"].Value).Concat(copied)
            .Where(image => !names.Contains(image.Replace("$ACCELERATOR", "cpu", StringComparison.Ordinal)))
            .ShouldAllBe(image => ExactTag().IsMatch(image));
    }

    /// <summary>The compiler stays in its stage. That the user is the manifests', KubernetesTests hold.</summary>
    [Theory]
    [MemberData(nameof(Programs))]
    public void WhatRuns_IsTheProgramAlone_AndOwnsItsFolders(string program)
    {
        var lines = Lines(program);
        var last = lines.Skip(lines.FindLastIndex(line => line.StartsWith("FROM ", StringComparison.Ordinal))).ToList();

        last[0].ShouldNotContain("/sdk:");
        last.ShouldContain("COPY --from=build /app .");
        var user = last.Single(line => line.StartsWith("USER ", StringComparison.Ordinal))["USER ".Length..];
        Instructions(program, "RUN").SelectMany(run => Owner().Matches(run)).ShouldAllBe(owner => owner.Groups["user"].Value == user);
        last.Single(line => line.StartsWith("ENTRYPOINT ", StringComparison.Ordinal))
            .ShouldStartWith($"ENTRYPOINT [\"./{AssemblyName(program)}\"");
    }

    /// <summary>What is built from is in the repository, and not kept from Docker.</summary>
    [Theory]
    [MemberData(nameof(Programs))]
    public void EveryCopiedPath_IsThere(string program)
    {
        var ignored = File.ReadAllLines(Repository.PathOf(".dockerignore"));
        var copies = Instructions(program, "COPY").Where(copy => !copy.StartsWith("--from=", StringComparison.Ordinal)).ToList();

        copies.ShouldNotBeEmpty();
        foreach (var source in copies.SelectMany(copy => copy.Split(' ').SkipLast(1)).Append(Project(program)))
        {
            Path.Exists(Repository.PathOf(source)).ShouldBeTrue(source);
            ignored.ShouldNotContain(source.Split('/')[0]);
        }
    }

    /// <summary>The build stage's command, here: with this machine's SDK, and into a folder of its own.</summary>
    [Theory]
    [Trait("Round", "full")]
    [MemberData(nameof(Programs))]
    public async Task Publish_MakesWhatTheImageStarts(string program)
    {
        var output = Directory.CreateTempSubdirectory("cluster-image-");
        try
        {
            var command = PublishCommand(program).Replace("-o /app", $"-o {output.FullName}", StringComparison.Ordinal);
            var start = new ProcessStartInfo("bash", ["-euc", command])
            {
                WorkingDirectory = Repository.Root,
                RedirectStandardOutput = true,
                Environment = { ["ACCELERATOR"] = "cpu", ["MSBUILDDISABLENODEREUSE"] = "1", ["UseSharedCompilation"] = "false" },
            };
            using var publish = Process.Start(start)!;
            var said = await publish.StandardOutput.ReadToEndAsync(Cancellation);
            await publish.WaitForExitAsync(Cancellation);

            publish.ExitCode.ShouldBe(0, said);
            File.Exists(Path.Combine(output.FullName, AssemblyName(program))).ShouldBeTrue();
        }
        finally
        {
            output.Delete(recursive: true);
        }
    }

    private static string PublishCommand(string program) =>
        Instructions(program, "RUN").Single(run => run.StartsWith("dotnet publish ", StringComparison.Ordinal));

    private static string Project(string program) => PublishCommand(program).Split(' ')[2];

    private static string AssemblyName(string program)
    {
        var project = Repository.Project(Project(program));
        return project.XPathSelectElement("//AssemblyName")?.Value ?? $"Cluster.{Path.GetFileNameWithoutExtension(Project(program))}";
    }

    private static IEnumerable<string> Instructions(string program, string name) => Lines(program)
        .Where(line => line.StartsWith(name + " ", StringComparison.Ordinal)).Select(line => line[(name.Length + 1)..]);

    /// <summary>Without comments, and with those joined that end in a backslash.</summary>
    private static List<string> Lines(string program) =>
        [.. File.ReadAllText(Repository.PathOf($"deploy/docker/{program.ToLowerInvariant()}.Dockerfile"))
            .Replace("\\\n", "", StringComparison.Ordinal)
            .Split('\n').Where(line => line.Length > 0 && line[0] != '#')];

    [GeneratedRegex(@"^(?<base>\S+)( AS (?<name>[a-z-]+))?$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Base();

    [GeneratedRegex(@"^--from=(?<base>\S+) ", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex From();

    // Two numbers and no more are Debian's point releases.
    [GeneratedRegex(@"^(mcr\.microsoft\.com/|nvidia/)[a-z/]+:\d+\.\d+\.\d+-[a-z0-9.-]+$|^debian:\d+\.\d+-slim$|@sha256:[0-9a-f]{64}$",
        RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ExactTag();

    [GeneratedRegex(@"install -d -o (?<user>\S+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Owner();
}
