using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Cluster.Cli.Rendering;
using Cluster.Contracts.Tls;

namespace Cluster.Cli.Certificates;

/// <summary>certs scheduler|node|server NAME, certs renew and certs list: the cluster's own authority, without a scheduler.</summary>
internal static class CertificateVerbs
{
    private const int LongestName = 64; // X.520's bound of a common name

    public static Command Build(VerbFactory verbs) => new("certs", "certificates of the cluster's own authority")
    {
        Issue(verbs, CertificateUnit.Scheduler, "Make a scheduler's certificate and key."),
        Issue(verbs, CertificateUnit.Node, "Make a node's certificate and key, for its agent."),
        Issue(verbs, CertificateUnit.Server, "Make a certificate and key for what only answers, such as the dashboard."),
        Renew(verbs),
        List(verbs),
    };

    private static Command Issue(VerbFactory verbs, string unit, string description)
    {
        var name = new Argument<string>("NAME") { Description = "what its files are called; by default its host as well" };
        var hosts = new Option<string[]>("--host")
        {
            Description = "a name or IP address by which others call it; may be given several times",
            HelpName = "HOST",
            AllowMultipleArgumentsPerToken = true,
        };
        var (folder, days) = (Folder(), Days("--days", 90, "how long it is good for"));
        var command = verbs.LocalVerb(unit, description, async context =>
        {
            var (called, now) = (context.Arguments.GetRequiredValue(name), context.Host.Time.GetUtcNow());
            CheckName(called);
            var files = new CertificateFolder(FolderOf(context, folder));
            if (File.Exists(files.CertificateFile(called)))
                throw new CliException(
                    ExitCode.Refused, $"{files.CertificateFile(called)} is there already; ./cluster certs renew renews it, or delete it");
            var given = context.Arguments.GetValue(hosts) is { Length: > 0 } some ? some : [called];
            foreach (var host in given.Where(host => Uri.CheckHostName(host) == UriHostNameType.Unknown))
                throw new CliException(ExitCode.Usage, $"--host is {host} but must be a host name or an IP address, without a port");
            using var authority = files.OpenAuthority(now);
            using var certificate = authority.Issue(SubjectOf(called, unit), given, now, LifeOf(context, days));
            files.Write(called, certificate);
            var end = Day(new DateTimeOffset(certificate.NotAfter));
            await context.Output.BlockAsync(
                $"""
                {files.CertificateFile(called)}, {files.KeyFile(called)}: {unit} {called}, until {end}
                Tls__CertificateFile, Tls__KeyFile and Tls__AuthorityFile={files.CertificateFile(CertificateFolder.Authority)} name them;
                {files.KeyFile(CertificateFolder.Authority)} stays here.

                """);
        });
        command.Arguments.Add(name);
        command.Options.Add(hosts);
        command.Options.Add(folder);
        command.Options.Add(days);
        return command;
    }

    private static Command Renew(VerbFactory verbs)
    {
        var (folder, days) = (Folder(), Days("--days", 90, "how long the new ones are good for"));
        var within = Days("--within", 30, "which: those that end in so many days or fewer");
        var command = verbs.LocalVerb("renew", "Make those anew that end soon; services take them up by themselves.", async context =>
        {
            var files = new CertificateFolder(FolderOf(context, folder));
            var (now, issued) = (context.Host.Time.GetUtcNow(), files.Issued());
            var due = now + LifeOf(context, within);
            using var authority = files.OpenAuthority(now);
            using var signing = authority.End < due ? authority.Renewed(now) : null;
            if (signing is not null)
            {
                files.Write(CertificateFolder.Authority, signing.Certificate);
                await context.Output.LineAsync(
                    $"{CertificateFolder.Authority}: until {Day(signing.End)}; copy its .crt to every part and client");
            }

            foreach (var old in issued.Where(each => each.End < due))
            {
                using var renewed = (signing ?? authority).Issue(old.Subject, old.Hosts, now, LifeOf(context, days));
                files.Write(old.Name, renewed);
                await context.Output.LineAsync($"{old.Name}: until {Day(new DateTimeOffset(renewed.NotAfter))}");
            }
        });
        command.Options.Add(folder);
        command.Options.Add(days);
        command.Options.Add(within);
        return command;
    }

    private static Command List(VerbFactory verbs)
    {
        var folder = Folder();
        var command = verbs.LocalVerb("list", "Show the certificates and how long they are good for.", async context =>
        {
            var table = new ColumnTable("NAME", "UNIT", "UNTIL", "HOSTS");
            foreach (var each in new CertificateFolder(FolderOf(context, folder)).Issued())
                table.Add(each.Name, each.Unit, Day(each.End), string.Join(',', each.Hosts));
            await context.Output.TableAsync(table);
        });
        command.Options.Add(folder);
        return command;
    }

    private static Option<string?> Folder() => new("--folder")
    {
        Description = "where certificates and keys are kept (otherwise certs in the state folder of ./cluster)",
        HelpName = "FOLDER",
    };

    private static Option<int> Days(string name, int days, string description)
    {
        var option = new Option<int>(name) { Description = $"{description} ({days})", HelpName = "DAYS", DefaultValueFactory = _ => days };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var text }] && (!int.TryParse(text, CultureInfo.InvariantCulture, out var given) || given < 1))
                result.AddError($"{name} is {text} but must be a number of days from 1");
        });
        return option;
    }

    private static TimeSpan LifeOf(LocalContext context, Option<int> days) => TimeSpan.FromDays(context.Arguments.GetValue(days));

    private static string FolderOf(LocalContext context, Option<string?> folder) =>
        context.Arguments.GetValue(folder)
        ?? (context.Host.Environment("CLUSTER_STATE") is { Length: > 0 } state
            ? Path.Combine(state, "certs")
            : throw new CliException(ExitCode.Usage, "--folder is not given; name the folder that certificates are kept in"));

    private static void CheckName(string name)
    {
        if (name.Length is 0 or > LongestName || name == CertificateFolder.Authority || name[0] == '.'
            || !name.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '.' or '_'))
        {
            throw new CliException(
                ExitCode.Usage,
                $"NAME is {name} but must be of letters, digits, '-', '_' and '.', {LongestName} at most; '{CertificateFolder.Authority}' "
                    + "is taken");
        }
    }

    private static X500DistinguishedName SubjectOf(string name, string unit)
    {
        var subject = new X500DistinguishedNameBuilder();
        subject.AddOrganizationalUnitName(unit);
        subject.AddCommonName(name);
        return subject.Build();
    }

    private static string Day(DateTimeOffset end) => end.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
