using System.Text;
using System.Text.RegularExpressions;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests.JobFiles;

/// <summary>Job files and experiments' from strangers: each is read, or refused with a reason, in memory that its size bounds.</summary>
/// <remarks>Mutations that know the grammar: whole lines, subtrees, keys and values of the examples, which reach past the parser.</remarks>
public sealed class JobFileFuzzTests
{
    private const int LongestMessage = 20_000;

    // A file of some kilobytes; an experiment of a hundred jobs holds each of them.
    private const long MostBytes = 64 << 20;

    private static readonly string[] Examples =
        [.. Directory.EnumerateFiles(Path.Combine(Repository.Root, "examples"), "*.yaml", SearchOption.AllDirectories).Order()
            .Select(File.ReadAllText)];

    private static readonly string[] Keys =
        [.. Examples.SelectMany(text => text.Split('\n')).Where(line => line.Contains(':', StringComparison.Ordinal))
            .Select(line => line.Split(':')[0].Trim(' ', '-', '#', '{')).Where(key => key.Length > 0).Distinct()];

    private static readonly string[] Values =
    [
        "", "~", "null", "true", "no", "0", "-1", "1", "2147483648", "9223372036854775807", "18446744073709551616", "1e400", "-1e-400",
        ".nan", "-.inf", "0x10", "1_000", "''", "\"\"", "\"\\0\"", "\"\\uD800\"", "\"a\\nb\"", "[]", "{}",
        "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
        "{a: {a: {a: {a: {a: {a: {a: 1}}}}}}}", "&a [*a]", "*a", "!!binary aGk=", "!<tag:x> 1", "<<: *a", "|", ">-", "? a", "- a", "..",
        "../../etc/passwd", "/etc/passwd", "a/b", "a\0b", "$(id)", "${HOME}", "'; drop table jobs; --", "<script>", "\u202Egpj", "😀", "é",
        "1h", "-1h", "99999999d", "relu", "adam", "lenet5", "resnet50", "image-folder", "fashion-mnist", "cuda", "cpu", "asha", "pipeline",
        "{type: log, minval: -4, maxval: -1, base: 10}", "{type: int, minval: 9, maxval: 1}", "{type: categorical, vals: []}",
        "[1, 2, 3]", "1-5", "1-1000000000", "5-1", "%", "@", "`", "\t", "#", ": :", new string('a', 5000), new string('9', 400),
    ];

    [Fact]
    public void MutatedFiles_AreReadOrRefused() => Mutate(rounds: 1500, seed: 1);

    [Fact]
    [Trait("Round", "full")]
    public void ManyMutatedFiles_AreReadOrRefused() => Mutate(rounds: 30_000, seed: 2);

    /// <summary>Their product is more than a field holds, or nothing in 32 bits: neither is to be divided by, or written down.</summary>
    [Theory]
    [InlineData("mesh: {data: 65536, pipeline: 65536}")]
    [InlineData("mesh: {data: 65536, model: 65536}")]
    [InlineData("mesh: {model: 65536, pipeline: 65536}\nparallelism: pipeline")]
    [InlineData("mesh: {data: 65536, model: 65536, pipeline: 65536}")]
    [InlineData("mesh: {data: 65536, pipeline: 65536}\nresources: {devices: 4}\nparallelism: model")]
    public void Mesh_OfMoreDevicesThanCanBeCounted_IsRefused(string mesh) =>
        Should.Throw<JobFileException>(() => JobFile.Parse($"model: lenet5\ndata: fashion-mnist\n{mesh}\n"));

    [Fact]
    public void MeshOfAMessage_OfMoreDevicesThanCanBeCounted_IsRefused() => Should.Throw<JobFileException>(
        () => JobSpecValidator.Complete(new JobSpec
        {
            Model = new ModelSpec { Name = "lenet5" },
            Data = new DataSpec { Name = "fashion-mnist" },
            Mesh = new MeshSpec { Data = int.MaxValue, Model = int.MaxValue, Pipeline = int.MaxValue },
        }));

    /// <summary>Patterns that make some matchers take the machine; here each is looked for in the longest line, in bounds.</summary>
    [Theory]
    [InlineData("((((a{99}){99}){99}){99}){99}")]
    [InlineData("(a*)*(a*)*(a*)*b")]
    [InlineData("(a|aa|aaa|aaaa)+$")]
    [InlineData(".*.*.*.*.*.*.*.*.*.*x")]
    [InlineData("([a-z]{0,999}[0-9]{0,999}){0,999}!")]
    public void Pattern_ThatExplodesElsewhere_TakesBoundedMemory(string text)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        if (LogPattern.TryRead(text, out var pattern))
        {
            try
            {
                pattern.IsMatch(new string('a', 16 << 10));
            }
            catch (RegexMatchTimeoutException)
            {
                // It is not looked for any more.
            }
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(4 * MostBytes);
    }

    private static void Mutate(int rounds, int seed)
    {
        var random = new Random(seed);
        var (read, refused) = (0, 0);
        for (var round = 0; round < rounds; round++)
        {
            var text = Examples[random.Next(Examples.Length)];
            for (var mutations = random.Next(1, 5); mutations > 0; mutations--)
                text = Mutated(text, random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                if (ExperimentFile.Describes(text))
                    ExperimentFile.Parse(text).Name.ShouldNotBeNull();
                else
                    JobFile.Parse(text).Name.ShouldNotBeNull();
                read++;
            }
            catch (JobFileException refusal)
            {
                refused++;
                refusal.Message.Length.ShouldBeInRange(1, LongestMessage, $"round {round}:\n{text}");
                refusal.Violations.ShouldAllBe(violation => !violation.ToString().Any(c => char.IsControl(c)), $"round {round}:\n{text}");
            }
            catch (Exception fault)
            {
                throw new InvalidOperationException($"round {round}: {fault.GetType().Name} by\n{text}", fault);
            }

            (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(MostBytes, $"round {round}:\n{text}");
        }

        // Mutations that are all refused at the door, or none, would say little of what is behind it.
        read.ShouldBeGreaterThan(rounds / 50);
        refused.ShouldBeGreaterThan(rounds / 4);
    }

    private static string Mutated(string text, Random random)
    {
        var lines = text.Split('\n').ToList();
        var (at, other) = (random.Next(lines.Count), random.Next(lines.Count));
        switch (random.Next(9))
        {
            case 0:
                lines.RemoveAt(at);
                break;
            case 1:
                lines.Insert(at, lines[other]);
                break;
            case 2:
                (lines[at], lines[other]) = (lines[other], lines[at]);
                break;
            case 3: // another value
                lines[at] = lines[at].Split(':')[0] + ": " + Values[random.Next(Values.Length)];
                break;
            case 4: // another key, at the same depth
                lines[at] = Indent(lines[at]) + Keys[random.Next(Keys.Length)] + ": " + Values[random.Next(Values.Length)];
                break;
            case 5: // another depth
                lines[at] = new string(' ', random.Next(8)) + lines[at].TrimStart();
                break;
            case 6: // a part of another file
                var strange = Examples[random.Next(Examples.Length)].Split('\n');
                var begin = random.Next(strange.Length);
                lines.InsertRange(at, strange.Skip(begin).Take(random.Next(1, 8)));
                break;
            case 7:
                var bytes = Encoding.UTF8.GetBytes(text);
                if (bytes.Length > 0)
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                return Encoding.UTF8.GetString(bytes);
            default:
                return text[..random.Next(text.Length + 1)];
        }

        return string.Join('\n', lines);
    }

    private static string Indent(string line) => new(' ', line.Length - line.TrimStart(' ').Length);
}
