namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>
/// Messages from one rank to another of its node: the sender fills the pair's mailbox, the receiver empties it, portion by portion.
/// </summary>
internal sealed unsafe class Mailboxes(byte* segment, SegmentLayout layout, NodeRanks ranks, int me)
{
    public void Send(nint message, long bytes, int destination, in Operation operation)
    {
        var at = layout.MailboxAt(me, destination);
        var box = (MailboxHeader*)(segment + at);
        do
        {
            var portion = Math.Min(bytes, SegmentLayout.MailboxBytes);
            ranks.AwaitAtLeast(&box->Emptied, &box->EmptiedSleepers, box->Filled, destination, operation);
            box->MessageBytes = operation.Bytes;
            Buffer.MemoryCopy((void*)message, segment + SegmentLayout.MailboxData(at), portion, portion);
            NodeRanks.Advance(&box->Filled, &box->FilledSleepers);
            message += (nint)portion;
            bytes -= portion;
        }
        while (bytes > 0);
    }

    public void Receive(nint message, long bytes, int source, in Operation operation)
    {
        var at = layout.MailboxAt(source, me);
        var box = (MailboxHeader*)(segment + at);
        do
        {
            ranks.AwaitAtLeast(&box->Filled, &box->FilledSleepers, box->Emptied + 1, source, operation);
            if (box->MessageBytes != operation.Bytes)
                throw operation.OutOfStep(ranks.MemberAt(source), operation.Signature, box->MessageBytes);
            var portion = Math.Min(bytes, SegmentLayout.MailboxBytes);
            Buffer.MemoryCopy(segment + SegmentLayout.MailboxData(at), (void*)message, portion, portion);
            NodeRanks.Advance(&box->Emptied, &box->EmptiedSleepers);
            message += (nint)portion;
            bytes -= portion;
        }
        while (bytes > 0);
    }
}
