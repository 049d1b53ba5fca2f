using System.Security.Cryptography.X509Certificates;

namespace Cluster.Contracts.Tls;

/// <summary>What a certificate's owner is in the cluster, as the organizational unit (OU) of its subject says.</summary>
/// <remarks>All have one authority: without this, a node's certificate would do for a scheduler's.</remarks>
public static class CertificateUnit
{
    /// <summary>May order agents about, and join the other schedulers.</summary>
    public const string Scheduler = "scheduler";

    /// <summary>May speak for a node and its trainers, beside their tokens.</summary>
    public const string Node = "node";

    /// <summary>Recognised by its address alone, as the dashboard.</summary>
    public const string Server = "server";

    private const string OrganizationalUnit = "2.5.4.11";

    /// <summary>The first one; null where there is none.</summary>
    public static string? Of(X509Certificate2 certificate) => certificate.SubjectName.EnumerateRelativeDistinguishedNames()
        .FirstOrDefault(part => !part.HasMultipleElements && part.GetSingleElementType().Value == OrganizationalUnit)
        ?.GetSingleElementValue();
}
